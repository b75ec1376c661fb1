"""The published leaderboard, in memory."""

from paceline.core.pages import Page
from paceline.ports.warehouse import Leaderboard, LeaderboardRow, Period
from tests.support.fakes.store import FakeStore


class FakeLeaderboards(FakeStore):
    """`board` by period once something is published."""

    def __init__(self) -> None:
        self.board: dict[Period, list[LeaderboardRow]] | None = None
        self.as_of_day: str | None = None
        self.provisional: bool | None = None

    def leaderboard(self, period: Period, *, offset: int, limit: int) -> Leaderboard | None:
        self._check_available()
        if self.board is None:
            return None
        rows = sorted(self.board.get(period, []), key=lambda row: (row.rank is None, row.rank))
        return Leaderboard(Page(rows[offset : offset + limit], len(rows)), self.as_of_day, self.provisional)
