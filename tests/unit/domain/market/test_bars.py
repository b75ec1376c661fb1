"""One-minute bars and how their parts are combined."""

from paceline.core.times import MINUTE_US
from paceline.domain.market import bars
from paceline.domain.market.bars import Bar, BarBook, PriceRange, is_usable
from paceline.messages.inbound import PriceUpdate


def price(bid: int, ask: int, *, update_id: int = 1, time: int = 0, symbol: str = "BTC") -> PriceUpdate:
    return PriceUpdate("p", time, symbol, bid, 1, ask, 1, update_id)


def test_a_bar_has_open_high_low_and_close() -> None:
    book = BarBook()
    for number, (bid, ask) in enumerate([(100, 101), (90, 95), (120, 121), (110, 112)]):
        book.add(price(bid, ask, update_id=10 + number, time=MINUTE_US + number))
    assert book.take() == [
        Bar(
            "BTC",
            MINUTE_US,
            PriceRange(100, 120, 90, 110),
            PriceRange(101, 121, 95, 112),
            updates=4,
            last_update_id=13,
        )
    ]


def test_a_minute_begins_at_its_first_microsecond() -> None:
    book = BarBook()
    book.add(price(1, 2, update_id=1, time=2 * MINUTE_US - 1))
    book.add(price(3, 4, update_id=2, time=2 * MINUTE_US))
    assert [(part.minute_us, part.bid.open) for part in book.take()] == [(MINUTE_US, 1), (2 * MINUTE_US, 3)]


def test_each_symbol_has_its_own_bars() -> None:
    book = BarBook()
    book.add(price(1, 2, symbol="ETH"))
    book.add(price(5, 6, symbol="BTC"))
    assert [(part.symbol, part.bid.close) for part in book.take()] == [("BTC", 5), ("ETH", 1)]


def test_each_part_counts_only_updates_since_the_last_part() -> None:
    book = BarBook()
    book.add(price(10, 11, update_id=1))
    book.add(price(12, 13, update_id=2))
    assert [part.updates for part in book.take()] == [2]
    assert book.take() == []
    book.add(price(9, 10, update_id=3))
    assert book.take() == [Bar("BTC", 0, PriceRange(9, 9, 9, 9), PriceRange(10, 10, 10, 10), 1, 3)]


def test_parts_that_are_not_taken_are_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(bars, "MAX_PARTS", 3)
    book = BarBook()
    for minute in range(5):
        book.add(price(1, 2, time=minute * MINUTE_US))
    assert [part.minute_us // MINUTE_US for part in book.take()] == [2, 3, 4]


def test_only_prices_that_the_engine_accepts_are_usable() -> None:
    assert is_usable(price(1, 2, update_id=8), 7)
    assert not is_usable(price(1, 2, update_id=7), 7)
    assert not is_usable(price(0, 2, update_id=8), 7)
    assert not is_usable(price(2, 2, update_id=8), 7)
    assert not is_usable(price(3, 2, update_id=8), 7)
