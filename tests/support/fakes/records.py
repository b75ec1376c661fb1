"""Closed orders, leaderboard and markets, in memory."""

from paceline.ports.account_state import Market
from paceline.ports.records import ClosedOrderRow, Leaderboard, LeaderboardRow, Page, Period

from tests.support.fakes.store import FakeStore


class FakeRecords(FakeStore):
    """`closed` by account in the order of the log; `board` by period, None before a publication."""

    def __init__(self, *markets: Market) -> None:
        self.known = list(markets)
        self.closed: dict[str, list[ClosedOrderRow]] = {}
        self.board: dict[Period, list[LeaderboardRow]] | None = None
        self.as_of_day: str | None = None
        self.provisional: bool | None = None

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
        self._check_available()
        found = [
            row
            for row in reversed(self.closed.get(account, []))
            if (symbol is None or row.symbol == symbol)
            and (from_us is None or row.closed >= from_us)
            and (to_us is None or row.closed < to_us)
        ]
        return Page(found[offset : offset + limit], len(found))

    def leaderboard(self, period: Period, *, offset: int, limit: int) -> Leaderboard | None:
        self._check_available()
        if self.board is None:
            return None
        rows = sorted(self.board.get(period, []), key=lambda row: (row.rank is None, row.rank))
        return Leaderboard(Page(rows[offset : offset + limit], len(rows)), self.as_of_day, self.provisional)

    def markets(self) -> list[Market]:
        self._check_available()
        return sorted(self.known, key=lambda market: market.symbol)
