"""One-minute bars and how their parts are combined."""

from paceline.core.times import MINUTE_US
from paceline.domain.market.bars import Bar, BarMaker, PriceRange
from paceline.messages.inbound import Deposit, PriceUpdate
from paceline.messages.log_form import Undecodable


def price(bid: int, ask: int, *, update_id: int = 1, time: int = 0, symbol: str = "BTC") -> PriceUpdate:
    return PriceUpdate("p", time, symbol, bid, 1, ask, 1, update_id)


def parts(*messages: PriceUpdate) -> list[Bar]:
    maker = BarMaker({})
    maker.add(messages)
    return maker.take()


def test_a_bar_opens_widens_and_closes() -> None:
    sides = [(100, 101), (90, 95), (120, 121), (110, 112)]
    found = parts(
        *(price(bid, ask, update_id=10 + n, time=MINUTE_US + n) for n, (bid, ask) in enumerate(sides))
    )
    assert found == [
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
    found = parts(
        price(1, 2, update_id=1, time=2 * MINUTE_US - 1), price(3, 4, update_id=2, time=2 * MINUTE_US)
    )
    assert [(part.minute_us, part.bid.open) for part in found] == [(MINUTE_US, 1), (2 * MINUTE_US, 3)]


def test_symbols_have_bars_and_update_ids_of_their_own() -> None:
    found = parts(price(1, 2, symbol="ETH", update_id=9), price(5, 6, symbol="BTC", update_id=1))
    assert [(part.symbol, part.bid.close) for part in found] == [("BTC", 5), ("ETH", 1)]


def test_what_was_taken_is_a_part_and_the_next_part_counts_only_what_came_after() -> None:
    maker = BarMaker({})
    maker.add([price(10, 11, update_id=1), price(12, 13, update_id=2)])
    assert [part.updates for part in maker.take()] == [2]
    assert maker.take() == []
    maker.add([price(9, 10, update_id=3)])
    assert len(maker) == 1
    assert maker.take() == [Bar("BTC", 0, PriceRange(9, 9, 9, 9), PriceRange(10, 10, 10, 10), 1, 3)]


def test_prices_that_the_stored_bars_hold_and_those_that_the_engine_drops_count_no_more() -> None:
    maker = BarMaker({"BTC": 5})
    maker.add(
        [
            price(1, 2, update_id=4),
            price(1, 2, update_id=5),
            price(7, 8, update_id=6),
            price(7, 7, update_id=7),
            price(6, 9, update_id=6),
            price(3, 4, update_id=1, symbol="ETH"),
        ]
    )
    assert [(part.symbol, part.bid.open, part.updates) for part in maker.take()] == [
        ("BTC", 7, 1),
        ("ETH", 3, 1),
    ]


def test_other_messages_make_no_bar() -> None:
    maker = BarMaker({})
    maker.add([Deposit("d", 1, "ada", 1), Undecodable(b"", "broken"), price(1, 2)])
    assert [part.updates for part in maker.take()] == [1]


def test_what_no_column_can_hold_makes_no_bar_and_moves_nothing() -> None:
    found = parts(
        price(1, 2, update_id=2**63),
        price(1, 2, time=2**63),
        price(1, 2, symbol="B\0"),
        price(1, 2, update_id=3),
    )
    assert [(part.symbol, part.last_update_id, part.updates) for part in found] == [("BTC", 3, 1)]
