"""The way of an instruction to the engine and of its answer back."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from msgspec import Struct

from paceline.messages.inbound import Admin, User


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


class Prices(Protocol):
    """`None` while no price of a symbol is known; `TransientError` when that cannot be told."""

    def last(self, symbol: str) -> "Price | None": ...


class Price(Struct, frozen=True):
    """Last price of a symbol, scaled by 10⁸; `time_us` is when our feed saw it."""

    bid: int
    ask: int
    time_us: int
