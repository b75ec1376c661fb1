"""The rule for prices outside the engine is the engine's own: held against it over generated prices."""

from hypothesis import given
from hypothesis import strategies as st

from paceline.domain.market.bars import BarMaker
from paceline.domain.market.prices import is_usable
from paceline.engine import Engine
from paceline.messages.inbound import PriceUpdate
from tests.support.small_day import BTC, ETH, market

# Small numbers, so that ids repeat and books cross often.
prices = st.builds(
    PriceUpdate,
    id=st.just("p"),
    time=st.integers(0, 200_000_000),
    symbol=st.sampled_from([BTC, ETH]),
    bid=st.integers(0, 5),
    bid_quantity=st.just(1),
    ask=st.integers(0, 5),
    ask_quantity=st.just(1),
    update_id=st.integers(0, 40),
)


@given(st.lists(prices, max_size=60))
def test_what_is_usable_is_what_the_engine_accepts(updates: list[PriceUpdate]) -> None:
    engine = Engine()
    for symbol in (BTC, ETH):
        engine.apply(market(symbol))
    last: dict[str, int] = {}
    maker = BarMaker({})
    for update in updates:
        before = sum(engine.stats().dropped.values())
        engine.apply(update)
        accepted = sum(engine.stats().dropped.values()) == before
        assert is_usable(update, last.get(update.symbol, -1)) == accepted
        if accepted:
            last[update.symbol] = update.update_id
        maker.add([update])
        assert sum(part.updates for part in maker.take()) == accepted


def test_examples_of_each_drop() -> None:
    def price(bid: int, ask: int, update_id: int) -> PriceUpdate:
        return PriceUpdate("p", 0, BTC, bid, 1, ask, 1, update_id)

    assert is_usable(price(1, 2, 8), 7)
    assert is_usable(price(1, 2, 0), -1)
    assert not is_usable(price(1, 2, 7), 7)
    assert not is_usable(price(0, 2, 8), 7)
    assert not is_usable(price(2, 2, 8), 7)
    assert not is_usable(price(3, 2, 8), 7)
