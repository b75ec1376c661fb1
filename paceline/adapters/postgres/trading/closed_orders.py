"""Closed orders (`engine.closed_orders`), page by page."""

from typing import Any, Final

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.numbers import with_decimal_text
from paceline.core.pages import Page
from paceline.ports.trading import ClosedOrderRow

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


class PostgresClosedOrders:
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
        counted, rows = self._pool.of(account).snapshot(
            ("select count(*) as total" + _CLOSED, wanted),
            (_CLOSED_COLUMNS + _CLOSED + _CLOSED_ORDER, wanted),
        )
        return Page(
            [msgspec.convert(with_decimal_text(row), ClosedOrderRow) for row in rows], counted[0]["total"]
        )
