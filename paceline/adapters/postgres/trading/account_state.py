"""The state of accounts that the writer has stored; read while Redis is unavailable or incomplete."""

from typing import Final

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.numbers import with_decimal_text
from paceline.adapters.postgres.trading.history import TRADE_COLUMNS
from paceline.ports.trading import Balance, OpenTrade, RestingOrder

_BALANCE: Final = """
select account, time_us as time, cash, margin, locked, balances, locked_balances
from engine.balances where account = %s order by position desc, ordinal desc limit 1
"""

_TRADE: Final = ", ".join(f"{TRADE_COLUMNS[name]} as {name}" for name in OpenTrade.__struct_fields__)
_TRADES: Final = f"select {_TRADE} from engine.open_trades where account = %s order by opened, trade"  # noqa: S608 - parts are constants of this package, values are bound

# A resting order is accepted and has not ended: it is neither filled, nor cancelled, nor rejected.
_ORDERS: Final = """
select i.response ->> 'order' as "order", i.symbol, i.message ->> 'side' as side,
    i.message ->> 'order_type' as order_type, i.message ->> 'quantity' as quantity,
    i.message ->> 'price' as price, i.message ->> 'distance' as distance,
    i.message ->> 'oco_with' as oco_with, i.time_us as opened
from engine.instructions as i
where i.account = %(account)s and i.kind = 'place_order' and i.status = 'accepted' and not i.duplicate
    and not exists (
        select from engine.closed_orders as c
        where c.account = %(account)s and c."order" = i.response ->> 'order'
    )
order by i.position
"""


class PostgresAccountState:
    """Older than Redis by the writer's lag, and without the moves of trailing levels."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def balance(self, account: str) -> Balance | None:
        row = self._pool.of(account).row(_BALANCE, (account,))
        return None if row is None else msgspec.convert(with_decimal_text(row), Balance)

    def open_trades(self, account: str) -> list[OpenTrade]:
        rows = self._pool.of(account).rows(_TRADES, (account,))
        return [msgspec.convert(with_decimal_text(row), OpenTrade) for row in rows]

    def resting_orders(self, account: str) -> list[RestingOrder]:
        rows = self._pool.of(account).rows(_ORDERS, {"account": account})
        return [msgspec.convert(row, RestingOrder) for row in rows]
