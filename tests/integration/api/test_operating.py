"""Operator endpoints and commands, with real engines."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask
from typer.testing import CliRunner

from api.http.context import platform
from paceline.cli import app as app_of_command
from paceline.core.errors import AppError
from paceline.settings import settings
from tests.support.api_stack import BTC, SHARDS, Member, Stack, eventually, sign_in

MARKET: dict[str, Any] = {
    "symbol": "OPS_USDC_PERP",
    "base": "OPS",
    "quantity_step": "0.01",
    "min_notional": "5",
    "max_leverage": 20,
    "maker_rate_bps": 1,
    "taker_rate_bps": 3,
    "maintenance_rate_bps": 40,
    "max_price_age_us": 3_600_000_000,
}
LONG = {"symbol": BTC, "side": "long", "margin": "100", "leverage": 10}
ALL = list(range(SHARDS))


@pytest.fixture(scope="session")
def operator(app: Flask, stack: Stack) -> Member:
    member = sign_in(app, stack)
    with app.app_context():
        assert platform().control.set_role(member.email.upper(), "operator")
    return member


@pytest.fixture
def stored_member(member: Member) -> Member:
    """A member whose account the writer has stored."""
    eventually(lambda: member.get("/account/balance").status_code == 200)
    return member


def assert_done(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.json["data"]["status"] == "done"
    assert answer.json["data"]["shards"] == ALL
    return answer.json["data"]


def account_view(operator: Member, account: str) -> dict[str, Any]:
    def ask() -> Any:
        answer = operator.get(f"/admin/accounts/{account}")
        return answer.status_code == 200 and answer.json["data"]

    return eventually(ask)


def test_members_and_anonymous_clients_are_rejected(app: Flask, member: Member) -> None:
    posts = ["/admin/markets", f"/admin/markets/{BTC}/halt", f"/admin/markets/{BTC}/resume"]
    posts += [f"/admin/accounts/a/{act}" for act in ("halt", "resume", "deposit", "withdraw")]
    for path in posts:
        answer = member.post(path, {})
        assert (answer.status_code, answer.json["error"]["code"]) == (403, "FORBIDDEN"), path
        assert app.test_client().post(f"/api/v1{path}", json={}).status_code == 401, path
    for path in (
        "/admin/markets",
        "/admin/accounts",
        "/admin/accounts/a",
        "/admin/accounts/a/instructions/i",
    ):
        assert member.get(path).status_code == 403, path
        assert app.test_client().get(f"/api/v1{path}").status_code == 401, path


def test_changes_require_the_csrf_header(operator: Member) -> None:
    answer = operator.client.post(f"/api/v1/admin/markets/{BTC}/halt")
    assert answer.json["error"]["code"] == "CSRF_FAILED"


def test_a_market_is_configured_halted_and_resumed(
    operator: Member, stored_member: Member, stack: Stack
) -> None:
    assert_done(operator.post("/admin/markets", MARKET, key="new-market"))
    stack.price("10", "10.1", symbol=MARKET["symbol"])
    trade = {"symbol": MARKET["symbol"], "side": "long", "margin": "50", "leverage": 2}
    assert stored_member.post("/trade/create", trade).status_code == 200

    assert_done(operator.post(f"/admin/markets/{MARKET['symbol']}/halt", None))
    refused = stored_member.post("/trade/create", trade)
    assert (refused.status_code, refused.json["error"]["code"]) == (422, "MARKET_HALTED")
    [asset] = [a for a in stored_member.get("/account/assets").json["data"]["assets"] if a["base"] == "OPS"]
    assert asset["halted"]

    # A halted market stays halted when it is configured again.
    assert_done(operator.post("/admin/markets", MARKET | {"max_leverage": 30}))
    [market] = [m for m in operator.get("/admin/markets").json["data"]["markets"] if m["base"] == "OPS"]
    assert (market["max_leverage"], market["halted"], market["halted_shards"]) == (30, True, ALL)

    assert_done(operator.post(f"/admin/markets/{MARKET['symbol']}/resume", None))
    stack.price("10", "10.1", symbol=MARKET["symbol"])
    assert stored_member.post("/trade/create", trade).status_code == 200
    [asset] = [a for a in stored_member.get("/account/assets").json["data"]["assets"] if a["base"] == "OPS"]
    assert not asset["halted"]


def test_the_base_of_a_market_cannot_be_changed(operator: Member) -> None:
    assert_done(operator.post("/admin/markets", MARKET | {"symbol": "BASE_USDC_PERP", "base": "BASE"}))
    answer = operator.post("/admin/markets", MARKET | {"symbol": "BASE_USDC_PERP", "base": "ELSE"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "BASE_IS_FIXED")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"symbol": "A B"}, "symbol"),
        ({"base": "btc"}, "base"),
        ({"base": "USD"}, "base"),
        ({"quantity_step": "0"}, "quantity_step"),
        ({"quantity_step": 1}, "quantity_step"),
        ({"max_leverage": 0}, "max_leverage"),
        ({"taker_rate_bps": -1}, "taker_rate_bps"),
        ({"maintenance_rate_bps": 10_001}, "maintenance_rate_bps"),
        ({"max_price_age_us": 0}, "max_price_age_us"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_an_invalid_configuration_names_the_field(
    operator: Member, change: dict[str, Any], field: str
) -> None:
    answer = operator.post("/admin/markets", MARKET | change)
    assert answer.status_code == 400
    assert list(answer.json["error"]["details"]) == [field]


def test_unknown_markets_accounts_and_instructions_are_not_found(operator: Member) -> None:
    for path in (
        "/admin/markets/NO_SUCH/halt",
        "/admin/markets/%00/halt",
        "/admin/accounts/unknown/halt",
        "/admin/accounts/n%00y/resume",
    ):
        assert operator.post(path, None).status_code == 404, path
    assert operator.post("/admin/accounts/unknown/deposit", {"amount": "1"}).status_code == 404
    assert operator.get("/admin/accounts/unknown").status_code == 404
    assert operator.get("/admin/accounts/unknown/instructions/never").status_code == 404


def test_an_account_is_halted_and_resumed(operator: Member, stored_member: Member) -> None:
    account = stored_member.account
    assert not account_view(operator, account)["halted"]
    trade = stored_member.post("/trade/create", LONG).json["data"]["trade"]
    assert_done(operator.post(f"/admin/accounts/{account}/halt", None))
    assert account_view(operator, account)["halted"]
    refused = stored_member.post("/trade/create", LONG)
    assert (refused.status_code, refused.json["error"]["code"]) == (422, "ACCOUNT_HALTED")
    assert stored_member.post("/trade/close", {"trade": trade}).status_code == 200
    assert_done(operator.post(f"/admin/accounts/{account}/resume", None))
    assert stored_member.post("/trade/create", LONG).status_code == 200
    assert account_view(operator, account)["email"] == stored_member.email


def test_deposits_and_withdrawals_are_executed_once(operator: Member, stored_member: Member) -> None:
    account = stored_member.account
    account_view(operator, account)
    paid = operator.post(f"/admin/accounts/{account}/deposit", {"amount": "250.5"}, key="bonus")
    assert paid.status_code == 200, paid.text
    again = operator.post(f"/admin/accounts/{account}/deposit", {"amount": "250.5"}, key="bonus")
    assert again.json["data"]["duplicate"]
    assert stored_member.get("/account/balance").json["data"]["cash"] == "5250.5"
    taken = operator.post(f"/admin/accounts/{account}/withdraw", {"amount": "50.5"})
    assert taken.status_code == 200
    assert stored_member.get("/account/balance").json["data"]["cash"] == "5200"
    refused = operator.post(f"/admin/accounts/{account}/withdraw", {"amount": "5200.1"}, key="all")
    assert (refused.status_code, refused.json["error"]["code"]) == (422, "INSUFFICIENT_BALANCE")
    for name in ("all", f"operator-{operator.account}-all"):
        place = f"/admin/accounts/{account}/instructions/{name}"
        answer = eventually(lambda place=place: (got := operator.get(place)).status_code == 200 and got)
        assert answer.json["data"]["code"] == "INSUFFICIENT_BALANCE"
        assert answer.json["data"]["instruction"] == f"operator-{operator.account}-all"
    for amount in ("0", "-1", "1e3", "10000000000"):
        assert operator.post(f"/admin/accounts/{account}/deposit", {"amount": amount}).status_code == 400


def test_a_late_repetition_of_a_halt_does_not_halt_again(operator: Member, stored_member: Member) -> None:
    symbol = "LATE_USDC_PERP"
    assert_done(operator.post("/admin/markets", MARKET | {"symbol": symbol, "base": "LATE"}))
    first = assert_done(operator.post(f"/admin/markets/{symbol}/halt", None, key="halt"))
    assert_done(operator.post(f"/admin/markets/{symbol}/resume", None))
    assert assert_done(operator.post(f"/admin/markets/{symbol}/halt", None, key="halt")) == first
    assert_done(operator.post("/admin/markets", MARKET | {"symbol": symbol, "base": "LATE"}))
    [market] = [m for m in operator.get("/admin/markets").json["data"]["markets"] if m["symbol"] == symbol]
    assert not market["halted"]


def test_a_key_of_another_instruction_is_refused(operator: Member, stored_member: Member) -> None:
    account = stored_member.account
    account_view(operator, account)
    symbol = "REUSED_USDC_PERP"
    assert_done(operator.post("/admin/markets", MARKET | {"symbol": symbol, "base": "REUSED"}, key="reused"))
    refused = [
        operator.post(f"/admin/markets/{symbol}/halt", None, key="reused"),
        operator.post(
            "/admin/markets", MARKET | {"symbol": symbol, "base": "REUSED", "max_leverage": 3}, key="reused"
        ),
    ]
    assert operator.post(f"/admin/accounts/{account}/deposit", {"amount": "5"}, key="pay").status_code == 200
    eventually(lambda: operator.get(f"/admin/accounts/{account}/instructions/pay").status_code == 200)
    refused += [
        operator.post(f"/admin/accounts/{account}/deposit", {"amount": "6"}, key="pay"),
        operator.post(f"/admin/accounts/{account}/withdraw", {"amount": "5"}, key="pay"),
        operator.post(f"/admin/accounts/{account}/halt", None, key="pay"),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert stored_member.get("/account/balance").json["data"]["cash"] == "5005"
    assert not account_view(operator, account)["halted"]


def test_two_operators_may_use_the_same_key(
    app: Flask, stack: Stack, operator: Member, stored_member: Member
) -> None:
    second = sign_in(app, stack)
    with app.app_context():
        assert platform().control.set_role(second.email, "operator")
    eventually(lambda: second.get("/admin/markets").status_code == 200)
    account = stored_member.account
    account_view(operator, account)
    for amount, who in (("10", operator), ("7", second)):
        paid = who.post(f"/admin/accounts/{account}/deposit", {"amount": amount}, key="monday")
        assert (paid.status_code, paid.json["data"]["duplicate"]) == (200, False)
    assert stored_member.get("/account/balance").json["data"]["cash"] == "5017"


def test_members_cannot_use_operator_instruction_ids(operator: Member, stored_member: Member) -> None:
    assert stored_member.post("/trade/create", LONG, key="operator-bonus").status_code == 400


def test_accounts_are_paged(operator: Member, newcomer: Callable[..., Member]) -> None:
    latest = newcomer()
    account_view(operator, latest.account)
    page = operator.get("/admin/accounts?per_page=1").json["data"]
    assert page["items"][0]["account"] == latest.account
    assert page["pagination"]["total"] > 1


@dataclass
class CommandResult:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def paceline(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CommandResult]]:
    """Runs the command in this process, which saves a second per call."""
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    def run(*arguments: str, answer: str = "") -> CommandResult:
        result = CliRunner().invoke(app_of_command, arguments, input=answer, env={"COLUMNS": "200"})
        stderr = (
            f"paceline: {result.exception}\n" if isinstance(result.exception, AppError) else result.stderr
        )
        return CommandResult(result.exit_code, result.stdout, stderr)

    yield run
    settings.cache_clear()


def test_market_commands(paceline: Callable[..., CommandResult], operator: Member) -> None:
    symbol = "CLI_USDC_PERP"
    lacking = paceline("market", "configure", symbol, "--base", "CLI")
    assert lacking.returncode == 1
    assert "CLI_USDC_PERP is a new market. Give its quantity_step, min_notional" in lacking.stderr
    options = ["--base", "CLI", "--step", "0.1", "--minimum", "5", "--max-leverage", "10", "--maker-bps", "2"]
    options += ["--taker-bps", "5", "--maintenance-bps", "50", "--max-price-age-ms", "5000"]
    made = paceline("market", "configure", symbol, *options)
    assert (made.returncode, made.stdout) == (0, f"Configuring {symbol}: done on 2 shards.\n"), made.stderr

    asked = paceline("market", "halt", symbol, answer="n\n")
    assert asked.returncode == 1
    assert "no stop loss fires" in asked.stderr
    assert paceline("market", "halt", symbol, "--yes").returncode == 0
    changed = paceline("market", "configure", symbol, "--max-leverage", "7", answer="y\n")
    assert changed.returncode == 0, changed.stderr
    [market] = [m for m in json.loads(paceline("market", "list", "--json").stdout) if m["base"] == "CLI"]
    assert (market["max_leverage"], market["halted"], market["quantity_step"]) == (7, True, "0.1")
    assert "halted" in paceline("market", "list").stdout
    assert paceline("market", "resume", symbol).returncode == 0
    unknown = paceline("market", "halt", "NO_SUCH", "--yes")
    assert (unknown.returncode, unknown.stderr) == (1, "paceline: The market 'NO_SUCH' does not exist.\n")


def test_account_commands(
    paceline: Callable[..., CommandResult], operator: Member, stored_member: Member
) -> None:
    account = stored_member.account
    account_view(operator, account)
    assert paceline("account", "halt", account, "--yes").returncode == 0
    shown = json.loads(paceline("account", "show", stored_member.email, "--json").stdout)
    assert (shown["account"], shown["halted"]) == (account, True)
    assert paceline("account", "resume", stored_member.email).returncode == 0
    assert paceline("account", "deposit", stored_member.email, "10", "--yes").returncode == 0
    assert stored_member.get("/account/balance").json["data"]["cash"] == "5010"
    refused = paceline("account", "withdraw", account, "6000", "--yes")
    assert refused.returncode == 1
    assert "INSUFFICIENT_BALANCE" in refused.stderr
    assert account in paceline("account", "list").stdout
    unknown = paceline("account", "make-operator", "unknown@example.com", "--yes")
    assert unknown.stderr == "paceline: The address 'unknown@example.com' has not signed in yet.\n"
    assert paceline("account", "make-operator", stored_member.email, "--yes").returncode == 0
    # Members are cached for a second.
    eventually(lambda: stored_member.get("/admin/markets").status_code == 200)
    assert paceline("account", "make-operator", stored_member.email, "--undo").returncode == 0
    assert stored_member.get("/admin/markets").status_code == 403


def test_open_alerts_are_shown_in_health_and_metrics(app: Flask, stack: Stack) -> None:
    client = app.test_client()
    assert client.get("/health/ready").json["data"]["alerts"] == []
    with psycopg.connect(stack.settings.database_url) as connection:
        connection.execute(
            "insert into ops.alerts (key, severity, source, message) values "
            "('k', 'critical', 'test', 'Something stands still.')"
        )
    health = client.get("/health/ready").json["data"]
    assert (health["ready"], health["status"]) == (True, "degraded")
    [alert] = health["alerts"]
    assert (alert["key"], alert["message"], alert["times"]) == ("k", "Something stands still.", 1)
    metrics = client.get("/metrics").text
    assert 'paceline_alert_open_since_seconds{key="k",severity="critical"} 1.7' in metrics
    assert 'paceline_dependency_up{dependency="postgres"} 1.0' in metrics
    with psycopg.connect(stack.settings.database_url) as connection:
        connection.execute("update ops.alerts set recovered_at = now()")
    assert client.get("/health/ready").json["data"]["status"] == "ok"
