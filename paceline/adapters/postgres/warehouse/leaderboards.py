"""The published leaderboard (`marts.leaderboard`)."""

from typing import Final

import msgspec
import psycopg

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.numbers import with_decimal_text
from paceline.core.pages import Page
from paceline.ports.warehouse import Leaderboard, LeaderboardRow, Period

_LEADERS: Final = """
select rank, account, display_name, profit_usd::numeric(38, 8) as profit_usd,
    return_ratio::float8, win_rate::float8, profit_factor::float8, max_drawdown::float8, sharpe::float8,
    average_holding_s::float8, trades::bigint, is_ranked, as_of_day::text, provisional
from marts.leaderboard where period = %(period)s
order by is_ranked desc, rank nulls last, profit_usd desc, account limit %(limit)s offset %(offset)s
"""
_HEAD: Final = """
select count(*) filter (where period = %(period)s) as total, max(as_of_day)::text as as_of_day,
    bool_or(provisional) as provisional
from marts.leaderboard
"""


class PostgresLeaderboards:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def leaderboard(self, period: Period, *, offset: int, limit: int) -> Leaderboard | None:
        wanted = {"period": period, "offset": offset, "limit": limit}
        try:
            rows, [head] = self._pool.snapshot((_LEADERS, wanted), (_HEAD, wanted))
        except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable):
            return None
        items = [msgspec.convert(with_decimal_text(row), LeaderboardRow) for row in rows]
        return Leaderboard(Page(items, head["total"]), head["as_of_day"], head["provisional"])
