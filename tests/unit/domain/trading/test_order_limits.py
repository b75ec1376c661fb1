"""Token buckets of orders, at times that the test gives."""

import pytest

from paceline.core.times import DAY_US, SECOND_US
from paceline.domain.trading.order_limits import OrderLimits, OrderRate, RateUse

SECOND = OrderRate("orders", 20, 1, 40)
DAY = OrderRate("orders-day", 100, 86_400, 100)
T0 = 7_000 * SECOND_US


def limits(*rates: OrderRate, max_accounts: int = 10) -> OrderLimits:
    return OrderLimits(rates or (SECOND, DAY), max_accounts)


def allowed(subject: OrderLimits, now_us: int, account: str = "a", attempts: int = 200) -> int:
    """How many of the attempts at one moment are allowed."""
    return sum(subject.spend(account, now_us).exceeded is None for _ in range(attempts))


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    subject = limits(SECOND)
    assert allowed(subject, T0) == 40
    assert allowed(subject, T0) == 0
    assert allowed(subject, T0 + SECOND_US) == 20
    assert allowed(subject, T0 + SECOND_US + 49_999) == 0
    assert allowed(subject, T0 + SECOND_US + 50_000) == 1


def test_a_bucket_never_holds_more_than_the_burst() -> None:
    subject = limits(SECOND)
    assert allowed(subject, T0) == 40
    assert allowed(subject, T0 + 365 * DAY_US) == 40


def test_a_refused_order_takes_no_token_from_any_bucket() -> None:
    subject = limits(SECOND, DAY)
    assert allowed(subject, T0, attempts=1_000) == 40
    assert allowed(subject, T0 + 10 * SECOND_US, attempts=1_000) == 40
    assert allowed(subject, T0 + 20 * SECOND_US, attempts=1_000) == 20  # the day's hundred are used


def test_the_wait_ends_when_the_next_order_is_allowed() -> None:
    subject = limits(SECOND, DAY)
    allowed(subject, T0)
    refused = subject.spend("a", T0 + 1)
    assert (refused.exceeded, refused.wait_us) == (SECOND, 49_999)
    assert subject.spend("a", T0 + 49_999).exceeded == SECOND
    assert subject.spend("a", T0 + 50_000).exceeded is None


def test_the_longest_wait_counts() -> None:
    subject = limits(SECOND, OrderRate("orders-day", 3, 86_400, 3))
    assert allowed(subject, T0) == 3
    refused = subject.spend("a", T0)
    assert refused.exceeded is not None
    assert (refused.exceeded.name, refused.wait_us) == ("orders-day", DAY_US // 3)


def test_accounts_have_buckets_of_their_own() -> None:
    subject = limits(SECOND)
    assert allowed(subject, T0, "a") == 40
    assert allowed(subject, T0, "b") == 40


def test_what_is_left_and_when_it_is_reset() -> None:
    subject = limits(OrderRate("orders", 2, 1, 2))
    rate = OrderRate("orders", 2, 1, 2)
    assert subject.spend("a", T0).uses == (RateUse(rate, 1, 500_000),)
    assert subject.spend("a", T0).uses == (RateUse(rate, 0, 1_000_000),)
    assert subject.spend("a", T0 + 1).uses == (RateUse(rate, 0, 999_999),)
    assert subject.spend("a", T0 + 500_000).uses == (RateUse(rate, 0, 1_000_000),)


def test_a_burst_above_the_quota_is_not_shown() -> None:
    subject = limits(SECOND)
    assert subject.spend("a", T0).uses == (RateUse(SECOND, 20, 0),)
    allowed(subject, T0, attempts=25)
    assert subject.spend("a", T0).uses == (RateUse(SECOND, 13, 7 * 50_000),)


def test_the_account_that_was_idle_longest_loses_its_buckets() -> None:
    subject = limits(SECOND, max_accounts=2)
    for account in ("a", "b"):
        assert allowed(subject, T0, account) == 40
    assert allowed(subject, T0 + 50_000, "a", attempts=1) == 1
    assert allowed(subject, T0 + 50_000, "c", attempts=1) == 1
    assert len(subject) == 2
    assert allowed(subject, T0 + 50_000, "a") == 0
    assert allowed(subject, T0 + 50_000, "b") == 40


@pytest.mark.parametrize("quota", [1, 3, 7, 50_000, 10**9])
def test_a_rate_that_does_not_divide_its_window_is_never_below_its_quota(quota: int) -> None:
    rate = OrderRate("orders", quota, 86_400, 1)
    assert 1 <= rate.refill_us <= max(1, DAY_US // quota)
