"""The configured markets (`engine.current_markets`)."""

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.numbers import with_decimal_text
from paceline.ports.market import Market


class PostgresMarkets:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def markets(self) -> list[Market]:
        rows = self._pool.rows("select * from engine.current_markets order by symbol")
        return [msgspec.convert(with_decimal_text(row), Market) for row in rows]
