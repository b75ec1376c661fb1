"""The markets: configured on the log, because a replay under today's configuration is not a replay."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from paceline.core.money import parse_decimal
from paceline.messages.inbound import ConfigureMarket
from paceline.ports.event_log import EventLog
from paceline.ports.market_book import MarketBook

# symbol → quantity step
_DEFAULTS = {
    "BTC_USDC_PERP": "0.00001",
    "ETH_USDC_PERP": "0.0001",
    "SOL_USDC_PERP": "0.01",
    "ADA_USDC_PERP": "1",
}


def default_markets() -> list[ConfigureMarket]:
    """The markets of a new installation. Ids and times are given when they are written to the log."""
    return [
        ConfigureMarket(
            id="",
            time=0,
            symbol=symbol,
            base=symbol.partition("_")[0],
            quantity_step=parse_decimal(step),
            min_notional=parse_decimal("5"),
            max_leverage=100,
            maker_rate_bps=2,
            taker_rate_bps=5,
            maintenance_rate_bps=50,
            max_price_age_us=5_000_000,
        )
        for symbol, step in _DEFAULTS.items()
    ]


def missing(wanted: Iterable[ConfigureMarket], found: Mapping[str, ConfigureMarket]) -> list[ConfigureMarket]:
    """Those of `wanted` that are not configured exactly so."""
    return [market for market in wanted if _settled(found.get(market.symbol)) != _settled(market)]


def _settled(market: ConfigureMarket | None) -> ConfigureMarket | None:
    return None if market is None else replace(market, id="", time=0)


async def configure_markets(
    wanted: Sequence[ConfigureMarket], book: MarketBook, log: EventLog, shards: int, now_us: int
) -> int:
    """Write to each shard's log what it lacks of `wanted`; returns how many messages that took.

    What the writer has not stored yet counts as lacking: configuring the same again changes nothing.
    """
    known = await book.configured()
    written = 0
    for shard in range(shards):
        lacking = missing(wanted, known.get(shard, {}))
        if lacking:
            await log.append(
                shard, [replace(m, id=f"market:{m.symbol}:{now_us}", time=now_us) for m in lacking]
            )
            written += len(lacking)
    return written
