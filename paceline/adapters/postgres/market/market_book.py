"""The configured markets (`engine.markets`), up to the writer's position."""

from typing import Final

from paceline.adapters.postgres.connections.connect import connect
from paceline.adapters.postgres.numbers import from_numeric
from paceline.messages.inbound import ConfigureMarket

_NEWEST: Final = """
select distinct on (m.shard, m.symbol)
    m.shard, i.instruction, i.stamped_us, m.symbol, m.base, m.quantity_step, m.min_notional, m.max_leverage,
    m.maker_rate_bps, m.taker_rate_bps, m.maintenance_rate_bps, m.max_price_age_us
from engine.markets as m
join engine.instructions as i using (shard, position)
order by m.shard, m.symbol, m.position desc
"""


class PostgresMarketConfigurations:
    def __init__(self, url: str) -> None:
        self._url = url

    async def configured(self) -> dict[int, dict[str, ConfigureMarket]]:
        found: dict[int, dict[str, ConfigureMarket]] = {}
        async with await connect(self._url, "paceline-markets") as connection:
            cursor = await connection.execute(_NEWEST)
            for shard, name, time_us, symbol, base, step, minimum, *rest in await cursor.fetchall():
                market = ConfigureMarket(
                    name, time_us, symbol, base, from_numeric(step), from_numeric(minimum), *rest
                )
                found.setdefault(shard, {})[symbol] = market
        return found
