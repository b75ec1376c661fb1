"""What the engine said last about an account."""

from typing import Protocol

from msgspec import Struct


class Balance(Struct, frozen=True, kw_only=True):
    """The newest `balance_update`, decimals as strings: `balances` free, `locked_balances` in orders."""

    account: str
    time: int
    cash: str
    margin: str
    locked: str
    balances: dict[str, str] = {}
    locked_balances: dict[str, str] = {}


class OpenTrade(Struct, frozen=True, kw_only=True):
    """An open trade: decimals as strings, `opened` is log time in µs."""

    trade: str
    symbol: str
    side: str
    leverage: int
    entry: str
    quantity: str
    margin: str
    opened: int
    fee: str | None = None
    stop_loss: str | None = None
    take_profit: str | None = None
    trailing_stop: str | None = None
    liquidation: str | None = None


class RestingOrder(Struct, frozen=True, kw_only=True):
    """An order that waits for its price: decimals as strings, `opened` is log time in µs."""

    order: str
    symbol: str
    side: str
    order_type: str
    quantity: str
    opened: int
    price: str | None = None
    distance: str | None = None
    oco_with: str | None = None


class Market(Struct, frozen=True, kw_only=True):
    """What can be traded, as configured on the log."""

    symbol: str
    base: str
    quantity_step: str
    min_notional: str
    max_leverage: int
    maker_rate_bps: int
    taker_rate_bps: int
    maintenance_rate_bps: int
    halted: bool = False


class AccountState(Protocol):
    """`None` means "not known here" (which is not "nothing"); `TransientError` when the store is away."""

    def balance(self, account: str) -> Balance | None: ...

    def open_trades(self, account: str) -> list[OpenTrade] | None: ...

    def resting_orders(self, account: str) -> list[RestingOrder] | None: ...
