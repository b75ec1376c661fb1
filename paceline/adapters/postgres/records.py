"""Stored records for members: closed orders, the published leaderboard, the configured markets."""

from typing import Any, Final

import msgspec
import psycopg

from paceline.adapters.postgres.account_state import texts
from paceline.adapters.postgres.pool import Pool
from paceline.ports.account_state import Market
from paceline.ports.records import ClosedOrderRow, Leaderboard, LeaderboardRow, Page, Period

_CLOSED: Final = """
from engine.closed_orders
where account = %(account)s
    and (%(symbol)s::text is null or symbol = %(symbol)s)
    and (%(from_us)s::bigint is null or closed_us >= %(from_us)s)
    and (%(to_us)s::bigint is null or closed_us < %(to_us)s)
"""
_CLOSED_COLUMNS: Final = """
select concat_ws(':', shard, position, ordinal) as id, trade, "order", symbol, side, quantity, entry, exit,
    profit, fee, margin, leverage, reason, code, remaining, opened_us as opened, closed_us as closed
"""
_CLOSED_ORDER: Final = """
order by closed_us desc, position desc, ordinal desc limit %(limit)s offset %(offset)s
"""
_LEADERS: Final = """
select rank, account, display_name, profit_usd::numeric(38, 8) as profit_usd,
    return_ratio::float8, win_rate::float8, profit_factor::float8, max_drawdown::float8, sharpe::float8,
    average_holding_s::float8, trades::bigint, is_ranked, as_of_day::text, provisional
from marts.leaderboard where period = %(period)s
order by is_ranked desc, rank nulls last, profit_usd desc, account limit %(limit)s offset %(offset)s
"""


class PostgresRecords:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def closed_orders(
        self,
        account: str,
        *,
        symbol: str | None,
        from_us: int | None,
        to_us: int | None,
        offset: int,
        limit: int,
    ) -> Page[ClosedOrderRow]:
        wanted: dict[str, Any] = {
            "account": account,
            "symbol": symbol,
            "from_us": from_us,
            "to_us": to_us,
            "offset": offset,
            "limit": limit,
        }
        with self._pool.transaction() as connection:
            connection.execute("set transaction isolation level repeatable read read only")
            counted = connection.execute("select count(*) as total" + _CLOSED, wanted).row
            rows = connection.execute(_CLOSED_COLUMNS + _CLOSED + _CLOSED_ORDER, wanted).rows
        items = [msgspec.convert(texts(row), ClosedOrderRow) for row in rows]
        return Page(items, counted["total"] if counted else 0)

    def leaderboard(self, period: Period, *, offset: int, limit: int) -> Leaderboard | None:
        wanted = {"period": period, "offset": offset, "limit": limit}
        try:
            with self._pool.transaction() as connection:
                connection.execute("set transaction isolation level repeatable read read only")
                rows = connection.execute(_LEADERS, wanted).rows
                head = connection.execute(
                    "select count(*) filter (where period = %(period)s) as total, "
                    "max(as_of_day)::text as as_of_day, bool_or(provisional) as provisional "
                    "from marts.leaderboard",
                    wanted,
                ).row
        except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable):
            return None
        items = [msgspec.convert(texts(row), LeaderboardRow) for row in rows]
        assert head is not None
        return Leaderboard(Page(items, head["total"]), head["as_of_day"], head["provisional"])

    def markets(self) -> list[Market]:
        rows = self._pool.rows("select * from engine.current_markets order by symbol")
        return [msgspec.convert(texts(row), Market) for row in rows]
