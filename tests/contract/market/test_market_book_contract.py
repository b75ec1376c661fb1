"""Contract of `MarketBook`: the newest configuration of each market on each shard."""

import pytest

from paceline.adapters.postgres.market.market_book import PostgresMarketConfigurations
from paceline.ports.market import MarketConfigurations
from tests.support.fakes.market.market_book import FakeMarketConfigurations
from tests.support.scenario_log import day
from tests.support.servers import as_role
from tests.support.sinks import write_days
from tests.support.small_day import BTC, ETH, market

FIRST = [market(BTC), market(ETH), market(BTC, 2, max_leverage=7, quantity_step=1)]
SECOND = [market(BTC, 3)]


@pytest.fixture(scope="module", params=["fake", "postgres"])
def book(request: pytest.FixtureRequest) -> MarketConfigurations:
    if request.param == "fake":
        return FakeMarketConfigurations(*((0, one) for one in FIRST), *((1, one) for one in SECOND))
    url = request.getfixturevalue("postgres_url")
    write_days(url, day(FIRST), day(SECOND, shard=1))
    return PostgresMarketConfigurations(as_role(url, "writer"))


@pytest.mark.parametrize("kind", ["fake", "postgres"])
async def test_a_new_installation_has_no_markets(kind: str, fresh_database: object) -> None:
    made: MarketConfigurations = (
        FakeMarketConfigurations() if kind == "fake" else PostgresMarketConfigurations(fresh_database())
    )  # type: ignore[operator]
    assert not any((await made.configured()).values())


async def test_configured_returns_the_newest_configuration(book: MarketConfigurations) -> None:
    assert await book.configured() == {0: {BTC: FIRST[2], ETH: FIRST[1]}, 1: {BTC: SECOND[0]}}
