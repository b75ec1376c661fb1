"""Lasting records that members read page by page."""

from typing import Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from paceline.ports.account_state import Market

Period = Literal["day", "week", "month", "all"]
T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True):
    """One page of a longer list, and how many entries the list has."""

    items: list[T]
    total: int


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


class LeaderboardRow(Struct, frozen=True, kw_only=True):
    """One account in one period. `rank` is null while it has too few trades to be ranked."""

    rank: int | None
    account: str
    display_name: str
    profit_usd: str
    return_ratio: float | None
    win_rate: float | None
    profit_factor: float | None
    max_drawdown: float | None
    sharpe: float | None
    average_holding_s: float | None
    trades: int
    is_ranked: bool


class Leaderboard(Struct, frozen=True):
    rows: Page[LeaderboardRow]
    as_of_day: str | None
    provisional: bool | None


class Records(Protocol):
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

    def leaderboard(self, period: Period, *, offset: int, limit: int) -> Leaderboard | None:
        """`None` before the first publication."""
        ...

    def markets(self) -> list[Market]: ...
