"""Contract of `Prices`: the last price of a symbol, or None."""

from collections.abc import Iterator

import pytest

from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.market import RedisPrices
from paceline.core.errors import TransientError
from paceline.ports.market import Price, Prices
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.instructions import FakePrices

PRICE = Price(bid=6_898_300_000_000, ask=6_898_310_000_000, time_us=1_757_143_198_000_000)


@pytest.fixture(scope="module", params=["fake", "redis"])
def prices(request: pytest.FixtureRequest) -> Iterator[Prices]:
    if request.param == "fake":
        yield FakePrices(BTC=PRICE)
        return
    client = SyncRedis(request.getfixturevalue("redis_url"), 100)
    fields = {"bid": "68983", "ask": "68983.1", "time_us": PRICE.time_us, "update_id": 1}  # as the feed does
    client.ask("HSET", "price:BTC", *[word for pair in fields.items() for word in pair])
    yield RedisPrices(client)
    client.close()


def test_last_returns_scaled_integers(prices: Prices) -> None:
    assert prices.last("BTC") == PRICE


def test_last_returns_none_for_a_symbol_without_a_price(prices: Prices) -> None:
    assert prices.last("ETH") is None


@pytest.mark.parametrize("kind", ["fake", "redis"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_redis_url: str) -> None:
    unavailable = (
        make_unavailable(FakePrices())
        if kind == "fake"
        else RedisPrices(SyncRedis(unreachable_redis_url, 100))
    )
    with pytest.raises(TransientError):
        unavailable.last("BTC")
