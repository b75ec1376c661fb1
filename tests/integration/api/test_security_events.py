"""What is recorded in `ops.security_events`, by the API and by commands."""

import os
import pwd
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.rows import dict_row
from typer.testing import CliRunner

from paceline.cli import app as app_of_command
from paceline.settings import settings
from tests.support.api_stack import BTC, Member, Stack, ask, eventually, sign_in

CLIENT = {"environ_base": {"REMOTE_ADDR": "203.0.113.7"}, "headers": {"X-Request-ID": "seen-1"}}


@pytest.fixture
def events(stack: Stack) -> Callable[..., list[dict[str, Any]]]:
    """Wait until there are `count` events of an account or mailbox; returns them, oldest first."""

    def stored(event: str, column: str, value: str, count: int = 1) -> list[dict[str, Any]]:
        def read() -> list[dict[str, Any]]:
            with psycopg.connect(stack.settings.database_url, row_factory=dict_row) as connection:
                rows = connection.execute(
                    f"select * from ops.security_events where event = %s and {column} = %s order by at",
                    (event, value),
                ).fetchall()
            return rows if len(rows) >= count else []

        rows = eventually(read)
        assert len(rows) == count
        return rows

    return stored


def test_sign_in_and_sign_out_are_recorded(
    app: Flask, stack: Stack, member: Member, events: Callable[..., list[dict[str, Any]]]
) -> None:
    [signed_in] = events("signed_in", "account", member.account)
    assert (signed_in["actor"], signed_in["details"]) == (f"member:{member.account}", {"proof": "link"})
    member.client.delete("/api/v1/auth/logout", environ_base=CLIENT["environ_base"], headers=member.csrf)
    [signed_out] = events("signed_out", "account", member.account)
    assert (signed_out["actor"], signed_out["address"]) == (f"member:{member.account}", "203.0.113.7")
    assert signed_out["at"] > signed_in["at"]


def test_a_failed_sign_in_is_recorded_without_the_address_of_the_mailbox(
    app: Flask, stack: Stack, events: Callable[..., list[dict[str, Any]]]
) -> None:
    client, email = app.test_client(), "recorded-failure@example.com"
    code = ask(client, stack, email).code.replace(" ", "")
    wrong = f"{(int(code) + 1) % 10**8:08}"
    answer = client.post("/api/v1/auth/verify", json={"email": email, "code": wrong}, **CLIENT)
    assert answer.status_code == 401
    [failed] = events("sign_in_failed", "request_id", "seen-1")
    assert (failed["actor"], failed["address"]) == ("anonymous", "203.0.113.7")
    assert failed["details"] == {"code": "CODE_INVALID"}
    assert email not in str(failed)
    assert failed["email_hash"]


def test_a_request_without_csrf_token_is_recorded(
    member: Member, events: Callable[..., list[dict[str, Any]]]
) -> None:
    answer = member.client.post("/api/v1/trade/close", json={}, headers={"X-Request-ID": "csrf-1"})
    assert answer.status_code == 403
    [failed] = events("csrf_failed", "request_id", "csrf-1")
    assert failed["actor"].startswith("session:")
    assert failed["details"] == {"path": "/api/v1/trade/close"}


@pytest.fixture
def paceline(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Runs the command in this process; returns what it writes to standard error."""
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app_of_command, arguments)
        assert result.exit_code == 0, result.output
        return result.stderr

    yield run
    settings.cache_clear()


def test_acts_of_operators_are_recorded_with_their_actor(
    app: Flask,
    stack: Stack,
    member: Member,
    paceline: Callable[..., str],
    events: Callable[..., list[dict[str, Any]]],
) -> None:
    me = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    operator = sign_in(app, stack)
    assert "security_event" not in paceline("account", "make-operator", operator.email, "--yes")
    [changed] = events("role_changed", "account", operator.account)
    assert (changed["actor"], changed["details"]) == (me, {"role": "operator"})

    eventually(lambda: member.get("/account/balance").status_code == 200)
    eventually(lambda: operator.get(f"/admin/accounts/{member.account}").status_code == 200)
    assert (
        operator.post(f"/admin/accounts/{member.account}/deposit", {"amount": "7"}, "d1").status_code == 200
    )
    paceline("account", "halt", member.account, "--yes")
    deposited, halted = events("operator_acted", "account", member.account, 2)
    assert deposited["actor"] == f"member:{operator.account}"
    assert deposited["address"] == "127.0.0.1"
    assert deposited["details"] == {
        "act": "deposit",
        "about": member.account,
        "instruction": f"operator-{operator.account}-d1",
        "amount": "7",
    }
    assert (halted["actor"], halted["address"]) == (me, None)
    assert halted["details"]["act"] == "halt_account"

    assert operator.post(f"/admin/markets/{BTC}/resume", None, "r1").status_code == 200
    [resumed] = events("operator_acted", "details ->> 'instruction'", f"operator-{operator.account}-r1")
    assert resumed["details"]["about"] == BTC
