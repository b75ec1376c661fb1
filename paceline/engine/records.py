"""Accounts, trades and resting orders.

Records on a shelf are replaced, never changed (see `shelf`): change a `copy()`, then put it there. `fields()`
is the record's row in snapshots, whose format is fixed: **a new field needs a new `SCHEMA_VERSION`**.
Records are plain classes with their fields written out, because mypyc compiles those to C structs. They are
marked acyclic, so the garbage collector does not scan them.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from paceline.engine.levels import LIQUIDATION, STOP_LOSS, TAKE_PROFIT
from paceline.messages.inbound import OrderSide, OrderType, TradeSide

UNSET: Final = -1

NOTHING: Final[dict[str, int]] = {}
"""The balances of an account without assets. All share it, because balances are replaced, never changed."""

AccountFields = tuple[str, int, int, int, dict[str, int], dict[str, int], bool]
TradeFields = tuple[
    str,
    str,
    str,
    TradeSide,
    int,
    int,
    int,
    int,
    int,
    int,
    int | None,
    int | None,
    int,
    int | None,
    int,
    int | None,
    int,
]
OrderFields = tuple[
    str, str, str, OrderSide, OrderType, int, int | None, int | None, int, str | None, int, int
]


@mypyc_attr(acyclic=True)
class Account:
    """Balances: `cash`, `margin` and `locked` in USD; `free` and `held` per asset, sorted, without zeros."""

    __slots__ = ("cash", "free", "halted", "held", "locked", "margin", "name")

    def __init__(  # noqa: PLR0917  (one for each field)
        self,
        name: str,
        cash: int,
        margin: int,
        locked: int,
        free: dict[str, int],
        held: dict[str, int],
        halted: bool,
    ) -> None:
        self.name = name
        self.cash = cash
        self.margin = margin
        self.locked = locked
        self.free = free
        self.held = held
        self.halted = halted

    def fields(self) -> AccountFields:
        return self.name, self.cash, self.margin, self.locked, self.free, self.held, self.halted

    def copy(self) -> "Account":
        return Account(*self.fields())

    def __repr__(self) -> str:
        return f"Account{self.fields()}"


@mypyc_attr(acyclic=True)
class Trade:
    """An open trade. `position` is that of the message that opened it, `…_set` of the one that set a level.

    `watches_liquidation`: the market's books hold its liquidation level. Loading a snapshot recomputes it.
    """

    __slots__ = (
        "account",
        "entry",
        "id",
        "leverage",
        "liquidation",
        "margin",
        "opened",
        "position",
        "quantity",
        "side",
        "stop_loss",
        "stop_loss_set",
        "symbol",
        "take_profit",
        "take_profit_set",
        "trailing_stop",
        "trailing_stop_set",
        "watches_liquidation",
    )

    def __init__(  # noqa: PLR0917  (one for each field)
        self,
        id: str,
        account: str,
        symbol: str,
        side: TradeSide,
        quantity: int,
        entry: int,
        margin: int,
        leverage: int,
        opened: int,
        position: int,
        liquidation: int | None,
        stop_loss: int | None,
        stop_loss_set: int,
        take_profit: int | None,
        take_profit_set: int,
        trailing_stop: int | None,
        trailing_stop_set: int,
    ) -> None:
        self.id = id
        self.account = account
        self.symbol = symbol
        self.side: TradeSide = side
        self.quantity = quantity
        self.entry = entry
        self.margin = margin
        self.leverage = leverage
        self.opened = opened
        self.position = position
        self.liquidation = liquidation
        self.stop_loss = stop_loss
        self.stop_loss_set = stop_loss_set
        self.take_profit = take_profit
        self.take_profit_set = take_profit_set
        self.trailing_stop = trailing_stop
        self.trailing_stop_set = trailing_stop_set
        self.watches_liquidation = False

    def fields(self) -> TradeFields:
        return (
            self.id,
            self.account,
            self.symbol,
            self.side,
            self.quantity,
            self.entry,
            self.margin,
            self.leverage,
            self.opened,
            self.position,
            self.liquidation,
            self.stop_loss,
            self.stop_loss_set,
            self.take_profit,
            self.take_profit_set,
            self.trailing_stop,
            self.trailing_stop_set,
        )

    def copy(self) -> "Trade":
        copy = Trade(*self.fields())
        copy.watches_liquidation = self.watches_liquidation
        return copy

    def level_set(self, level_class: int) -> int:
        """Position of the message that set the trade's level of a class; `UNSET` if it has no such level."""
        if level_class == LIQUIDATION:
            return self.position
        if level_class == STOP_LOSS:
            return self.stop_loss_set
        return self.take_profit_set if level_class == TAKE_PROFIT else self.trailing_stop_set


@mypyc_attr(acyclic=True)
class Order:
    """A resting order. `lock`: USD of a buy, quantity of a sell; `partner`: the other of an OCO pair."""

    __slots__ = (
        "account",
        "distance",
        "id",
        "lock",
        "opened",
        "order_type",
        "partner",
        "position",
        "price",
        "quantity",
        "side",
        "symbol",
    )

    def __init__(  # noqa: PLR0917  (one for each field)
        self,
        id: str,
        account: str,
        symbol: str,
        side: OrderSide,
        order_type: OrderType,
        quantity: int,
        price: int | None,
        distance: int | None,
        lock: int,
        partner: str | None,
        opened: int,
        position: int,
    ) -> None:
        self.id = id
        self.account = account
        self.symbol = symbol
        self.side: OrderSide = side
        self.order_type: OrderType = order_type
        self.quantity = quantity
        self.price = price
        self.distance = distance
        self.lock = lock
        self.partner = partner
        self.opened = opened
        self.position = position

    def fields(self) -> OrderFields:
        return (
            self.id,
            self.account,
            self.symbol,
            self.side,
            self.order_type,
            self.quantity,
            self.price,
            self.distance,
            self.lock,
            self.partner,
            self.opened,
            self.position,
        )

    def copy(self) -> "Order":
        return Order(*self.fields())
