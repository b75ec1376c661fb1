"""Default markets are written to the logs of the shards that lack them only."""

from msgspec.structs import replace

from paceline.messages.inbound import ConfigureMarket
from paceline.usecases.market.markets import configure_markets, default_markets
from tests.support.fakes.market.market_book import FakeMarketConfigurations
from tests.support.fakes.trading.event_log import FakeEventLog


async def test_a_new_installation_gets_all_markets_on_every_shard() -> None:
    log = FakeEventLog()
    assert (
        await configure_markets(default_markets(), FakeMarketConfigurations(), log, shards=3, now_us=9) == 12
    )
    assert sorted(log.records) == [0, 1, 2]
    written = [market for [markets] in log.records.values() for market in markets]
    assert {market.time for market in written} == {9}
    assert all(market.id for market in written)


async def test_configured_markets_stay_and_missing_ones_are_written() -> None:
    known = [replace(market, id="earlier", time=3) for market in default_markets()]
    otherwise = [replace(market, taker_rate_bps=6) for market in known if market.base != "ADA"]
    book = FakeMarketConfigurations(
        *((0, market) for market in known), *((1, market) for market in otherwise)
    )
    log = FakeEventLog()
    assert await configure_markets(default_markets(), book, log, 2, now_us=9) == 1
    [[market]] = log.records[1]
    assert isinstance(market, ConfigureMarket)
    assert market.symbol == "ADA_USDC_PERP"
    assert list(log.records) == [1]
