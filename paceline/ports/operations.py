"""What an operator sees of markets and accounts, as far as the writer has come."""

from typing import Literal, Protocol

from msgspec import Struct

from paceline.core.pages import Page
from paceline.ports.market import Market


class MarketControl(Market, frozen=True, kw_only=True):
    """A market with what only operators look at. `shards` have it, `halted_shards` have it halted.

    All shards say the same, unless an instruction reached only some of them: then the rest is what the first
    of `shards` says.
    """

    max_price_age_us: int
    shards: list[int]
    halted_shards: list[int]


class AccountControl(Struct, frozen=True, kw_only=True):
    """An account of the engine with its newest balance; who holds it is null where nobody signed up."""

    account: str
    shard: int
    opened: int
    halted: bool
    cash: str
    margin: str
    locked: str
    open_trades: int
    email: str | None
    display_name: str | None
    role: str | None


class Alert(Struct, frozen=True, kw_only=True):
    """Something that is wrong and lasts since `since`, µs; `times` counts how often it came back."""

    key: str
    severity: Literal["info", "warning", "critical"]
    message: str
    since: int
    times: int


class Control(Protocol):
    """`TransientError` when the store is away."""

    def markets(self) -> list[MarketControl]: ...

    def account(self, account: str) -> AccountControl | None: ...

    def account_of(self, email: str) -> str | None:
        """The account of the member with this address."""
        ...

    def accounts(self, *, offset: int, limit: int) -> Page[AccountControl]:
        """Newest first."""
        ...

    def shards_with(self, instruction: str, account: str | None) -> set[int]:
        """The shards whose engine has taken the instruction; `account` is the one it names, if it does."""
        ...

    def set_role(self, email: str, role: str) -> bool:
        """Whether there is a member with this address."""
        ...

    def open_alerts(self, limit: int) -> list[Alert]:
        """The worst and oldest first."""
        ...
