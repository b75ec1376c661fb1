"""The last published leaderboard."""

from flask import Blueprint

from api.http.context import platform
from api.http.endpoint import Spec, endpoint
from api.http.paging import pagination
from api.leaderboard.schemas import EXAMPLE, LeaderboardPage, LeaderboardQuery

blueprint = Blueprint("leaderboard", __name__)


@blueprint.get("")
@endpoint(
    Spec(
        summary="The published leaderboard, best first, in pages",
        description="Before the first publication it is empty, and `reason` says why.",
        query=LeaderboardQuery,
        data=LeaderboardPage,
        example=EXAMPLE,
        signed_in=False,
    )
)
def leaderboard(query: LeaderboardQuery) -> LeaderboardPage:
    found = platform().leaderboards.leaderboard(query.period, offset=query.offset, limit=query.per_page)
    return LeaderboardPage(
        period=query.period,
        as_of_day=found.as_of_day if found else None,
        provisional=found.provisional if found else None,
        items=found.rows.items if found else [],
        pagination=pagination(query, found.rows.total if found else 0),
        reason=None if found else "No leaderboard has been published yet.",
    )
