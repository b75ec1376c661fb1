"""Accounts, trades and resting orders. Frozen: they are replaced, never changed (see `shelf`).

Array-like in snapshots: **fields may only be appended**.
"""

from typing import Final

from msgspec import Struct

from paceline.engine.levels import LIQUIDATION, STOP_LOSS, TAKE_PROFIT
from paceline.messages.inbound import OrderSide, OrderType, TradeSide

UNSET: Final = -1


class Account(Struct, array_like=True, frozen=True, gc=False):
    """Balances: `cash`, `margin` and `locked` in USD; `free` and `held` per asset, sorted, without zeros."""

    name: str
    cash: int
    margin: int
    locked: int
    free: dict[str, int]
    held: dict[str, int]
    halted: bool


class Trade(Struct, array_like=True, frozen=True, gc=False):
    """An open trade. `position` is that of the message that opened it, `…_set` of that which set a level."""

    id: str
    account: str
    symbol: str
    side: TradeSide
    quantity: int
    entry: int
    margin: int
    leverage: int
    opened: int
    position: int
    liquidation: int | None
    stop_loss: int | None
    stop_loss_set: int
    take_profit: int | None
    take_profit_set: int
    trailing_stop: int | None
    trailing_stop_set: int

    def level_set(self, level_class: int) -> int:
        """Position of the message that set the level of a class; `UNSET` if there is none."""
        if level_class == LIQUIDATION:
            return self.position
        if level_class == STOP_LOSS:
            return self.stop_loss_set
        return self.take_profit_set if level_class == TAKE_PROFIT else self.trailing_stop_set


class Order(Struct, array_like=True, frozen=True, gc=False):
    """A resting order. `lock`: USD of a buy, quantity of a sell; `partner`: the other of an OCO pair."""

    id: str
    account: str
    symbol: str
    side: OrderSide
    order_type: OrderType
    quantity: int
    price: int | None
    distance: int | None
    lock: int
    partner: str | None
    opened: int
    position: int
