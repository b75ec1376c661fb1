"""Query and response of the leaderboard."""

from typing import Annotated, Any, Final

from msgspec import Struct

from api.http.fields import describe_field
from api.http.paging import PageQuery, Pagination
from paceline.ports.warehouse import LeaderboardRow, Period


class LeaderboardQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    period: Annotated[Period, describe_field("Span of days.", "be day, week, month or all")] = "all"


class LeaderboardPage(Struct, frozen=True, kw_only=True):
    """`provisional`: the day is not over. `reason`: why the page is empty before the first publication."""

    period: Period
    as_of_day: str | None
    provisional: bool | None
    items: list[LeaderboardRow]
    pagination: Pagination
    reason: str | None = None


EXAMPLE: Final[dict[str, Any]] = {
    "period": "week",
    "as_of_day": "2025-09-06",
    "provisional": True,
    "items": [
        {
            "rank": 1,
            "account": "3f1c0a9be2d4477c8a10",
            "display_name": "Calm Heron",
            "profit_usd": "412.07",
            "return_ratio": 0.0824,
            "win_rate": 0.61,
            "profit_factor": 1.9,
            "max_drawdown": -0.034,
            "sharpe": 2.1,
            "average_holding_s": 318.5,
            "trades": 41,
            "is_ranked": True,
        }
    ],
    "pagination": {"page": 1, "per_page": 20, "total": 1, "total_pages": 1},
    "reason": None,
}
