"""The bounded buffer before the log, the back-off between attempts, and the reported trouble."""

import pytest

from paceline.messages.inbound import PriceUpdate
from stream.feed.buffer import PriceBuffer
from stream.feed.stats import LOG_PATIENCE_US, FeedStats


def price(symbol: str, update_id: int) -> PriceUpdate:
    return PriceUpdate(f"p:{symbol}:{update_id}", 0, symbol, 1, 1, 2, 1, update_id)


def test_prices_leave_in_the_order_they_came() -> None:
    buffer = PriceBuffer()
    for number in range(5):
        buffer.add(price("BTC", number))
    assert [update.update_id for update in buffer.take(3)] == [0, 1, 2]
    assert [update.update_id for update in buffer.take(3)] == [3, 4]
    assert buffer.take(3) == []
    assert buffer.dropped == 0


def test_a_full_buffer_keeps_the_newest_price_per_symbol_and_counts_the_rest() -> None:
    buffer = PriceBuffer(bound=10)
    for number in range(11):
        buffer.add(price("ETH" if number == 4 else "BTC", number))
    kept = buffer.take(100)
    assert sorted((update.symbol, update.update_id) for update in kept) == [("BTC", 10), ("ETH", 4)]
    assert buffer.dropped == 9


def test_the_buffer_never_grows_beyond_its_bound() -> None:
    buffer = PriceBuffer(bound=50)
    for number in range(1_000):
        buffer.add(price(f"S{number % 3}", number))
        assert len(buffer) <= 50
    assert buffer.dropped + len(buffer) == 1_000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"connected": False}, "exchange cannot be reached"),
        ({"log_open": False}, "log (Kafka)"),
        ({"sent_us": 10_000_000 - LOG_PATIENCE_US, "acknowledged_us": 1}, "log (Kafka)"),
        ({"last_price_us": 0}, "no price comes"),
        ({"last_usable_us": 0}, "the engine accepts none of them"),
    ],
)
def test_trouble_is_reported_with_a_reason(changes: dict[str, int], says: str) -> None:
    now_us = 10_000_000
    well = {"connected": True, "log_open": True, "last_price_us": now_us, "last_usable_us": now_us}
    trouble = FeedStats(**{**well, **changes}).trouble(now_us, silence_us=5_000_000)  # type: ignore[arg-type]
    assert (says in trouble) if says else trouble == ""
