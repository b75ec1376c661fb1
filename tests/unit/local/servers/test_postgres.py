"""Which answer of a starting Postgres means "not ready yet", and which a wrong password."""

from pathlib import Path

import psycopg
import pytest

from paceline.local.servers import postgres
from paceline.local.servers.postgres import LocalPostgres
from paceline.local.servers.server import ServerFailed

STARTING = "FATAL: the database system is starting up"
REFUSED = 'FATAL: password authentication failed for user "postgres"'


class Answers:
    """The server's answers to connections, in order; it notes the passwords that were tried."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.urls: list[str] = []

    def connect(self, url: str, **_: object) -> None:
        self.urls.append(url)
        raise psycopg.OperationalError(self.reasons.pop(0))


def local(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> LocalPostgres:
    monkeypatch.setattr(postgres, "_answers", lambda _: True)
    monkeypatch.setattr(psycopg, "connect", answers.connect)
    return LocalPostgres(Path("pg"), 1, password="owner", superuser_password="root")


def test_a_starting_server_is_not_ready_and_not_taken_for_one_with_another_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers(STARTING, REFUSED)
    assert not local(monkeypatch, answers).is_ready()
    assert len(answers.urls) == 1


def test_the_owners_password_is_tried_after_the_superusers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers(REFUSED, REFUSED)
    with pytest.raises(ServerFailed, match="has another password"):
        local(monkeypatch, answers).is_ready()
    assert ["root" in answers.urls[0], "owner" in answers.urls[1]] == [True, True]
