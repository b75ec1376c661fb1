"""The markets. They are configured on the log, so that a replay uses the configuration of that time."""

from collections.abc import Sequence

from msgspec.structs import replace

from paceline.core.money import parse_decimal
from paceline.messages.inbound import ConfigureMarket
from paceline.ports.market import MarketConfigurations
from paceline.ports.trading import EventLog

# symbol → quantity step
_DEFAULTS = {
    "BTC_USDC_PERP": "0.00001",
    "ETH_USDC_PERP": "0.0001",
    "SOL_USDC_PERP": "0.01",
    "ADA_USDC_PERP": "1",
}


def default_markets() -> list[ConfigureMarket]:
    """The markets of a new installation. Their ids and times are set when they are written to the log."""
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


async def configure_markets(
    wanted: Sequence[ConfigureMarket], book: MarketConfigurations, log: EventLog, shards: int, now_us: int
) -> int:
    """Write to each shard's log the markets of `wanted` that it lacks; returns the number of messages.

    A known market is not changed: an operator may have configured it differently.
    """
    known = await book.configured()
    written = 0
    for shard in range(shards):
        missing = [market for market in wanted if market.symbol not in known.get(shard, {})]
        if missing:
            await log.append(
                shard, [replace(m, id=f"market:{m.symbol}:{now_us}", time=now_us) for m in missing]
            )
            written += len(missing)
    return written
