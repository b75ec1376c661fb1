"""What `Markets` promises: the configured markets."""

import pytest

from paceline.adapters.postgres.market.markets import PostgresMarkets
from paceline.core.errors import TransientError
from paceline.ports.market import Market, Markets
from tests.support.fakes.market.markets import FakeMarkets
from tests.support.fakes.store import make_unavailable
from tests.support.sinks import write_days
from tests.support.small_day import BTC, ETH, small_day


def asset(symbol: str) -> Market:
    return Market(
        symbol=symbol, base=symbol.partition("_")[0], quantity_step="0.00001", min_notional="5",
        max_leverage=100, maker_rate_bps=2, taker_rate_bps=5, maintenance_rate_bps=50,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_markets_are_as_configured(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "fake":
        markets: Markets = FakeMarkets(asset(ETH), asset(BTC))
    else:
        write_days(request.getfixturevalue("postgres_url"), small_day())
        markets = PostgresMarkets(request.getfixturevalue("pool"))
    assert markets.markets() == [asset(BTC), asset(ETH)]


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_before_a_market_is_configured(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "fake":
        empty: Markets = FakeMarkets()
    else:
        database = request.getfixturevalue("fresh_database")()
        empty = PostgresMarkets(request.getfixturevalue("pool_of")(database))
    assert empty.markets() == []


@pytest.mark.parametrize("kind", ["fake", "postgres"])
def test_an_unavailable_store_is_a_transient_error(kind: str, request: pytest.FixtureRequest) -> None:
    unavailable: Markets = (
        make_unavailable(FakeMarkets())
        if kind == "fake"
        else PostgresMarkets(request.getfixturevalue("unreachable_pool"))
    )
    with pytest.raises(TransientError):
        unavailable.markets()
