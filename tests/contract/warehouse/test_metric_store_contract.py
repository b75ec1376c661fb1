"""Contract of `MetricStore`: days to compute, holdings without a price, number of accounts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pytest

from paceline.adapters.postgres.warehouse.account_metrics import PostgresAccountMetrics
from paceline.adapters.postgres.warehouse.cuts import PostgresCuts
from paceline.core.errors import TransientError
from paceline.core.money import SCALE
from paceline.core.times import SECOND_US, day_bounds_us
from paceline.messages.inbound import CreateTrade, OpenAccount
from paceline.ports.warehouse import Cut, MetricStore
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeMetrics
from tests.support.servers import as_role
from tests.support.warehouse_rows import ACCOUNTS, BTC, SimulatedPlatform

FIRST, SECOND, THIRD = (date(2026, 3, day) for day in (1, 2, 3))
STARTS_US = {day: day_bounds_us(day)[0] for day in (FIRST, SECOND, THIRD)}


@dataclass
class Subject:
    """Five accounts from day 1, one of which holds BTC from day 2. A sixth account from day 3."""

    metrics: MetricStore
    cut_id: Callable[[], int]

    def cut(self, day: date, as_of_day: date | None = None, *, provisional: bool = False) -> Cut:
        shown = as_of_day or day
        return Cut(self.cut_id(), day, shown, day_bounds_us(shown)[1], provisional, [])


def fake(*, bars: bool) -> Subject:
    opened = dict.fromkeys(ACCOUNTS[:-1], STARTS_US[FIRST]) | {ACCOUNTS[-1]: STARTS_US[THIRD]}
    barred = {BTC: STARTS_US[FIRST]} if bars else {}
    return Subject(FakeMetrics(opened, {BTC: STARTS_US[SECOND]}, barred), lambda: 1)


def postgres(url: str, *, bars: bool) -> Subject:
    platform = SimulatedPlatform(url)
    platform.start(FIRST)
    platform.now_us = STARTS_US[SECOND] + SECOND_US
    platform.tick(BTC, platform.prices[BTC])
    [answer, *_] = platform.send(CreateTrade("t", platform.now_us, ACCOUNTS[0], BTC, "long", 100 * SCALE, 2))
    assert answer.status == "accepted"
    platform.send(OpenAccount("late", STARTS_US[THIRD] + SECOND_US, ACCOUNTS[-1], SCALE))
    if not bars:
        platform.bars.clear()
    platform.store()
    cut_id, _ = PostgresCuts(as_role(url, "nightly")).copy_snapshots(THIRD)
    return Subject(PostgresAccountMetrics(as_role(url, "nightly")), lambda: cut_id)


@pytest.fixture(params=["fake", "postgres"])
def subject(request: pytest.FixtureRequest) -> Subject:
    bars = "unpriced" not in request.fixturenames
    if request.param == "fake":
        return fake(bars=bars)
    return postgres(request.getfixturevalue("fresh_database")(), bars=bars)


@pytest.fixture
def unpriced() -> None:
    """No bars."""


def test_every_day_since_the_first_account_is_computed_once(subject: Subject) -> None:
    cut = subject.cut(THIRD)
    assert subject.metrics.days_to_compute(cut) == [FIRST, SECOND, THIRD]
    subject.metrics.compute(cut, FIRST)
    assert subject.metrics.days_to_compute(cut) == [SECOND, THIRD]


def test_the_cut_day_and_the_as_of_day_are_computed_again(subject: Subject) -> None:
    cut = subject.cut(FIRST, as_of_day=THIRD)
    for day in (FIRST, SECOND, THIRD):
        subject.metrics.compute(cut, day)
    assert subject.metrics.days_to_compute(cut) == [FIRST, THIRD]


def test_a_provisional_day_is_computed_again_when_it_has_ended(subject: Subject) -> None:
    for day in (FIRST, SECOND):
        subject.metrics.compute(subject.cut(SECOND, provisional=True), day)
    assert subject.metrics.days_to_compute(subject.cut(THIRD)) == [SECOND, THIRD]


def test_compute_counts_accounts_open_at_the_end_of_the_day(subject: Subject) -> None:
    cut = subject.cut(THIRD)
    assert [subject.metrics.compute(cut, day) for day in (FIRST, SECOND, THIRD)] == [5, 5, 6]
    assert subject.metrics.compute(cut, THIRD) == 6


def test_unmarked_is_empty_when_bars_exist(subject: Subject) -> None:
    assert [subject.metrics.unmarked(subject.cut(THIRD), day) for day in (FIRST, THIRD)] == [[], []]


@pytest.mark.usefixtures("unpriced")
def test_unmarked_names_held_symbols_without_bars(subject: Subject) -> None:
    cut = subject.cut(THIRD)
    assert [subject.metrics.unmarked(cut, day) for day in (FIRST, SECOND, THIRD)] == [[], [BTC], [BTC]]


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_url: str) -> None:
    unavailable: MetricStore = (
        make_unavailable(FakeMetrics()) if kind == "fake" else PostgresAccountMetrics(unreachable_url)
    )
    cut = Cut(1, FIRST, FIRST, 1, False, [])
    for ask in (
        lambda: unavailable.days_to_compute(cut),
        lambda: unavailable.unmarked(cut, FIRST),
        lambda: unavailable.compute(cut, FIRST),
    ):
        with pytest.raises(TransientError):
            ask()
