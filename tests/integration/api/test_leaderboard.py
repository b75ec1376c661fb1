"""The published leaderboard, read without a session."""

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask

from tests.support.api_stack import Stack
from tests.support.leaderboard import MART


@pytest.fixture
def published(stack: Stack) -> Iterator[None]:
    with psycopg.connect(stack.settings.database_url, autocommit=True) as connection:
        connection.execute(MART)
        yield
        connection.execute("drop schema marts cascade")


@pytest.mark.usefixtures("published")
def test_pages_and_periods_of_the_leaderboard(app: Flask) -> None:
    client = app.test_client()
    data = client.get("/api/v1/leaderboard?page=2&per_page=1").json["data"]
    [second] = data["items"]
    assert (second["display_name"], second["rank"], second["profit_usd"]) == ("Second", 2, "10.5")
    assert data["pagination"] == {"page": 2, "per_page": 1, "total": 3, "total_pages": 3}
    assert (data["as_of_day"], data["provisional"], data["reason"]) == ("2025-09-06", True, None)
    day = client.get("/api/v1/leaderboard?period=day").json["data"]
    assert [row["profit_usd"] for row in day["items"]] == ["-3"]
