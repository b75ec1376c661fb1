"""Accounts, instructions to the engine, their answers, and what became of orders."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from paceline.core.pages import Page
from paceline.messages.inbound import Admin, Inbound, User


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


class AccountState(Protocol):
    """`None` means "not known here" (which is not "nothing"); `TransientError` when the store is away."""

    def balance(self, account: str) -> Balance | None: ...

    def open_trades(self, account: str) -> list[OpenTrade] | None: ...

    def resting_orders(self, account: str) -> list[RestingOrder] | None: ...


class Answer(Struct, frozen=True, kw_only=True):
    """The engine's `order_response` in its JSON form: decimals are strings, `time` is log time in µs."""

    id: str
    time: int
    instruction: str
    account: str
    status: Literal["accepted", "rejected"]
    code: str | None = None
    trade: str | None = None
    order: str | None = None
    price: str | None = None
    quantity: str | None = None
    fee: str | None = None
    liquidation: str | None = None
    duplicate: bool = False


class EventLog(Protocol):
    async def append(self, shard: int, messages: Sequence[Inbound]) -> int:
        """Write messages to a shard's log as one record; returns its offset once it is safe there."""
        ...


class InstructionLog(Protocol):
    def append(self, message: User | Admin, shard: int) -> None:
        """Hand over to `engine.in`, in order. `TransientError`: it certainly never gets there.

        Without an error it is on its way, soon there, and perhaps lost on it: what the engine says of it
        tells.
        """
        ...

    def ping(self) -> None:
        """`TransientError` when nothing could be appended now."""
        ...


Wait = Callable[[int], Answer | None]
"""Waits so many ms: `None` when no answer has come, `TransientError` when it may have been missed."""


class Replies(Protocol):
    """The quick way back. Everything here may be lost at any time; then `TransientError`."""

    def expect(self, account: str, instruction: str) -> AbstractContextManager[Wait]:
        """Listen for an answer from now on: before the instruction is handed over. Raises nothing."""
        ...

    def remember_pending(self, account: str, instruction: str) -> None:
        """Note that an instruction waits for its answer, for a day."""
        ...

    def is_pending(self, account: str, instruction: str) -> bool: ...


class Answers(Protocol):
    """The lasting record of answers; `TransientError` when the store is away."""

    def find(self, account: str, instruction: str, since_us: int = 0) -> Answer | None:
        """The newest first-hand answer (no duplicate) to an instruction stamped at or after `since_us`."""
        ...


class ClosedOrderRow(Struct, frozen=True, kw_only=True):
    """A `closed_order` of the engine: decimals as strings, times are log times in µs."""

    id: str
    trade: str | None
    order: str | None
    symbol: str
    side: str
    quantity: str
    entry: str | None
    exit: str | None
    profit: str | None
    fee: str | None
    margin: str | None
    leverage: int | None
    reason: str
    code: str | None
    remaining: str
    opened: int
    closed: int


class ClosedOrders(Protocol):
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
        """Newest first; `from_us` is included, `to_us` is not."""
        ...
