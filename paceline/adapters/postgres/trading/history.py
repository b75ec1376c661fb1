"""The append-only tables of the schema `engine`: the writer appends to them, others read them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.copy_rows import Line, insert_rows, make_incoming
from paceline.adapters.postgres.numbers import from_numeric
from paceline.core.ids import output_id
from paceline.core.money import parse_decimal
from paceline.domain.trading.open_trade import OpenTrade
from paceline.messages.inbound import PlaceOrder
from paceline.messages.json_form import amount_fields, from_json
from paceline.messages.outbound import BalanceUpdate

_TABLES: Final = {
    "markets": "shard position time_us symbol base quantity_step min_notional max_leverage "
    "maker_rate_bps taker_rate_bps maintenance_rate_bps max_price_age_us",
    "instructions": "shard position time_us stamped_us instruction kind account symbol message "
    "status code duplicate response",
    "accounts": "account shard position opened_us initial_balance",
    "deposits": "shard position time_us account kind amount",
    "trade_changes": "shard position ordinal time_us account trade event symbol side leverage entry_price "
    "price quantity remaining_quantity margin remaining_margin fee profit reason "
    "stop_loss take_profit trailing_stop liquidation opened_us",
    "closed_orders": "shard position ordinal time_us account trade order symbol side quantity entry exit "
    "profit fee margin leverage reason code remaining opened_us closed_us",
    "balances": "shard position ordinal time_us account cash margin locked balances locked_balances",
}
COLUMNS: Final[dict[str, list[str]]] = {table: names.split() for table, names in _TABLES.items()}


async def prepare(connection: Connection) -> None:
    """Prepare a connection for `append`.

    Its commits do not wait for the disk: the reader's position is committed with the effects, so rows that a
    crash of Postgres loses are read from the log and written again.
    """
    await connection.execute("set synchronous_commit to off")
    await make_incoming(connection, "engine", COLUMNS)


async def append(connection: Connection, rows: Mapping[str, Sequence[Line]]) -> None:
    """Add rows by table; a row whose key exists already is skipped. Needs a transaction and `prepare`.

    They go through temporary tables: Postgres refuses COPY into a table with row-level security.
    """
    for table, columns in COLUMNS.items():
        if rows.get(table):
            await insert_rows(connection, "engine", table, columns, rows[table])


_OTHER_NAMES: Final = {
    "entry": "entry_price",
    "quantity": "remaining_quantity",
    "margin": "remaining_margin",
    "fee": "opening_fee",
    "opened": "opened_us",
}
TRADE_COLUMNS: Final = {name: _OTHER_NAMES.get(name, name) for name in OpenTrade.__struct_fields__}
"""The column of `engine.open_trades` that holds a field of `OpenTrade`."""
_AMOUNTS: Final = frozenset(amount_fields(OpenTrade))
# Amounts are read as text with all 8 decimals (`numeric(38, 8)`): without its point it is the scaled integer.
# Read as decimals they would take ten times as long.
_TRADE: Final = ", ".join(
    f"{column}::text" if name in _AMOUNTS else column for name, column in TRADE_COLUMNS.items()
)
_IS_AMOUNT: Final = [name in _AMOUNTS for name in TRADE_COLUMNS]


def _open_trade(row: Sequence[Any]) -> OpenTrade:
    values: list[Any] = [
        int(value.replace(".", "")) if is_amount and value is not None else value
        for value, is_amount in zip(row, _IS_AMOUNT, strict=True)
    ]
    return OpenTrade(*values)


async def trades_before(connection: Connection, trades: Iterable[str], position: int) -> dict[str, OpenTrade]:
    """The state of these trades, which were open then, from their changes before a position."""
    cursor = await connection.execute(
        f"select distinct on (trade) {_TRADE} from ("  # noqa: S608 - parts are constants of this module, values are bound
        "select *, first_value(fee) over (partition by trade order by position, ordinal) as opening_fee "
        "from engine.trade_changes where trade = any(%s) and position < %s"
        ") as changes order by trade, position desc, ordinal desc",
        (list(trades), position),
    )
    return {row[0]: _open_trade(row) for row in await cursor.fetchall()}


async def open_trades(connection: Connection, shard: int) -> list[OpenTrade]:
    """The open trades of a shard, up to the writer's position."""
    cursor = await connection.execute(f"select {_TRADE} from engine.open_trades where shard = %s", (shard,))  # noqa: S608 - parts are constants of this module, values are bound
    return [_open_trade(row) for row in await cursor.fetchall()]


async def current_balances(connection: Connection, shard: int) -> list[tuple[int, int, BalanceUpdate]]:
    """`(position, ordinal, update)`: the newest of each account of a shard, up to the writer's position."""
    cursor = await connection.execute(
        "select position, ordinal, time_us, account, cash, margin, locked, balances, locked_balances "
        "from engine.current_balances where shard = %s",
        (shard,),
    )
    found = []
    for position, ordinal, time_us, account, cash, margin, locked, *maps in await cursor.fetchall():
        free, held = ({asset: parse_decimal(amount) for asset, amount in part.items()} for part in maps)
        money = (from_numeric(cash), from_numeric(margin), from_numeric(locked))
        name = output_id(shard, position, ordinal)
        found.append((position, ordinal, BalanceUpdate(name, time_us, account, *money, free, held)))
    return found


async def resting_orders(connection: Connection, shard: int) -> list[tuple[int, int, str, PlaceOrder]]:
    """`(position, log time, order id, instruction)` of a shard's orders that have not ended."""
    cursor = await connection.execute(
        "select i.position, i.time_us, i.response ->> 'order', i.message from engine.instructions i "
        "where i.shard = %(shard)s and i.kind = 'place_order' and i.status = 'accepted' and not i.duplicate "
        "and not exists (select from engine.closed_orders c "
        "  where c.shard = %(shard)s and c.\"order\" = i.response ->> 'order')",
        {"shard": shard},
    )
    return [
        (position, time_us, order, cast(PlaceOrder, from_json(message)))
        for position, time_us, order, message in await cursor.fetchall()
    ]
