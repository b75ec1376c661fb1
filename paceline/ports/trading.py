"""Accounts, instructions to the engine, their answers, and what became of orders."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from paceline.core.pages import Page
from paceline.messages.inbound import AdminInstruction, Inbound, UserInstruction


class Balance(Struct, frozen=True, kw_only=True):
    """The last `balance_update`. Decimals are strings; `locked_balances` are in orders, `balances` free."""

    account: str
    time: int
    cash: str
    margin: str
    locked: str
    balances: dict[str, str] = {}
    locked_balances: dict[str, str] = {}


class OpenTrade(Struct, frozen=True, kw_only=True):
    """An open trade. Decimals are strings; `opened` is log time in µs."""

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
    """An order that waits for its price. Decimals are strings; `opened` is log time in µs."""

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
    """`None` means "unknown to this store", not "empty". `TransientError` if the store is unavailable."""

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
        """Write messages to a shard's log as one record; returns its offset when it is durable."""
        ...


class InstructionLog(Protocol):
    def append(self, message: UserInstruction | AdminInstruction, shard: int) -> None:
        """Send to `engine.in`, in order. `TransientError`: it was not and will not be written.

        Without an error the message is on its way and may still be lost. Only an answer confirms it.
        """
        ...

    def ping(self) -> None:
        """`TransientError` if messages cannot be appended now."""
        ...


Wait = Callable[[int], Answer | None]
"""Waits up to the given ms: `None` if no answer came, `TransientError` if it may have been missed."""


class Replies(Protocol):
    """The fast, volatile path of answers. All its data may be lost at any time; then `TransientError`."""

    def expect(self, account: str, instruction: str, stamped_us: int) -> AbstractContextManager[Wait]:
        """Listen for the answer to the instruction with this id and `time`. Raises nothing.

        Call it before the instruction is sent. Several instructions may have one id: each has its own answer.
        """
        ...

    def remember_pending(self, account: str, instruction: str) -> None:
        """Remember for a day that an instruction waits for its answer."""
        ...

    def is_pending(self, account: str, instruction: str) -> bool: ...


class AnsweredInstruction(Struct, frozen=True):
    """An instruction as it is on the log, with the engine's answer."""

    message: UserInstruction
    answer: Answer


class AnswerStore(Protocol):
    """The durable store of answers. `TransientError` if the store is unavailable."""

    def find(self, account: str, instruction: str, since_us: int = 0) -> AnsweredInstruction | None:
        """The newest instruction whose answer is no duplicate, and whose `time` is at least `since_us`."""
        ...


class ClosedOrderRow(Struct, frozen=True, kw_only=True):
    """A `closed_order` of the engine. Decimals are strings; times are log times in µs."""

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
