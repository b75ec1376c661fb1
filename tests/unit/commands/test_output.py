"""The tables and the JSON of the commands, with rows as the real ones have them."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
import typer
from rich.console import Console
from typer.testing import CliRunner

from paceline import cli
from paceline.adapters.runtime import terminal
from paceline.commands import account, market, operating
from paceline.commands import status as status_command
from paceline.core.errors import TradingError
from paceline.core.pages import Page
from paceline.drill import report as drill_report
from paceline.drill.checks import Check
from paceline.drill.hits import ActResult
from paceline.drill.schedule import SERVICES
from paceline.ports.operations import OperatorAccount, OperatorMarket
from paceline.ports.trading import Answer
from paceline.ports.warehouse import Cut
from paceline.usecases.operations.operating import Outcome

ACCOUNTS = [
    OperatorAccount(
        account=f"018f3c2a-7b1e-7c3d-9a4f-{number:012d}",
        shard=number,
        opened=1_772_323_200_000_000,
        halted=number == 1,
        cash="4998.12345678",
        margin="250.5",
        locked="0",
        open_trades=number,
        email=None if number == 2 else f"a.member.with.a.long.name{number}@community.example.com",
        display_name="A member",
        role="member",
    )
    for number in range(3)
]
MARKETS = [
    OperatorMarket(
        symbol=symbol,
        base=symbol.partition("_")[0],
        quantity_step="0.00001",
        min_notional="5",
        max_leverage=50,
        maker_rate_bps=2,
        taker_rate_bps=5,
        maintenance_rate_bps=50,
        max_price_age_us=5_000_000,
        shards=[0, 1],
        halted_shards=halted,
        halted=bool(halted),
    )
    for symbol, halted in (("BTC_USDC_PERP", []), ("DOGE_USDC_PERP", [0, 1]), ("ETH_USDC_PERP", [1]))
]
STATUS: dict[str, Any] = {
    "healthy": False,
    "running": True,
    "last_price_age_s": 0.2,
    "last_snapshot_age_s": None,
    "engine_form": "compiled",
    "consumer_lag": {"engine": 0, "writer": 12},
    "alerts": [{"severity": "critical", "message": "no price of [BTC_USDC_PERP] for 30 s"}],
    "services": {
        "airflow-dag-processor": {"state": "up", "pid": 4711, "restarts": 0, "reason": "", "address": ""},
        "api": {
            "state": "restarting",
            "pid": None,
            "restarts": 3,
            "reason": "ended (exit code 1): the port is taken [Errno 98] (again in 4 s)",
            "address": "http://127.0.0.1:18000/api/v1/docs",
        },
    },
}


class OperatorStore:
    def accounts(self, *, offset: int, limit: int) -> Page[OperatorAccount]:
        return Page(ACCOUNTS[offset : offset + limit], len(ACCOUNTS))

    def account(self, name: str) -> OperatorAccount | None:
        return next((one for one in ACCOUNTS if one.account == name), None)

    def markets(self) -> list[OperatorMarket]:
        return MARKETS


@contextmanager
def opened() -> Iterator[Any]:
    yield SimpleNamespace(control=OperatorStore(), gateway=SimpleNamespace(shards=2))


@pytest.fixture(autouse=True)
def fake_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (account, market):
        monkeypatch.setattr(module, "platform", opened)


@pytest.fixture
def in_terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs something as in a terminal of a width; the lines that it printed."""

    def run(width: int, command: Any) -> list[str]:
        file = io.StringIO()
        console = Console(file=file, width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(terminal, "_console", lambda: console)
        monkeypatch.setattr("rich.console.Console", lambda: console)
        command()
        return file.getvalue().splitlines()

    return run


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def rows_of(text: str) -> list[dict[str, str]]:
    header, *lines = (line.split("\t") for line in text.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_account_list_has_a_line_for_each_account(in_terminal: Any, width: int) -> None:
    lines = in_terminal(width, account.list_)
    assert all(len(line) <= width for line in lines)
    assert [line.split()[0] for line in lines[1:4]] == [one.account for one in ACCOUNTS]
    assert len(lines) == 5
    assert lines[4].startswith("+")
    if width >= 80:
        assert "halted" in lines[2]
        assert "4998.12345678" in lines[1]


def test_account_list_prints_every_column_in_a_pipe_and_all_fields_as_json() -> None:
    rows = rows_of(run("account", "list"))
    assert [row["account"] for row in rows] == [one.account for one in ACCOUNTS]
    assert [row["state"] for row in rows] == ["open", "halted", "open"]
    assert (rows[0]["email"], rows[2]["email"]) == (ACCOUNTS[0].email, "")
    assert json.loads(run("account", "list", "--json")) == {
        "items": [msgspec.structs.asdict(one) for one in ACCOUNTS],
        "total": 3,
    }


def test_account_show_prints_a_field_a_line() -> None:
    name = ACCOUNTS[1].account
    fields = dict(line.split("\t") for line in run("account", "show", name).splitlines())
    assert (fields["account"], fields["halted"], fields["cash"]) == (name, "true", "4998.12345678")
    assert json.loads(run("account", "show", name, "--json")) == msgspec.structs.asdict(ACCOUNTS[1])


@pytest.mark.parametrize("width", [80, 120])
def test_market_list_has_a_line_for_each_market_that_is_the_same_everywhere(
    in_terminal: Any, width: int
) -> None:
    lines = in_terminal(width, market.list_)
    assert all(len(line) <= width for line in lines)
    starts = [line.split()[0] for line in lines if "_PERP" in line]
    assert starts == [one.symbol for one in MARKETS]
    assert lines[1].split()[-1] == "open"
    assert lines[2].split()[-1] == "halted"


def test_market_list_says_in_a_pipe_which_shards_differ() -> None:
    rows = rows_of(run("market", "list"))
    assert [row["symbol"] for row in rows] == [one.symbol for one in MARKETS]
    assert rows[2]["state"] == "halted only on shards [1]: halt or resume it again"
    assert json.loads(run("market", "list", "--json"))[1]["halted_shards"] == [0, 1]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_status_shows_each_service_on_a_line_and_reasons_below(in_terminal: Any, width: int) -> None:
    lines = in_terminal(width, lambda: status_command._show(STATUS, wide=False))
    assert [line.split()[:2] for line in lines[1:3]] == [
        ["airflow-dag-processor", "up"],
        ["api", "restarting"],
    ]
    text = " ".join(line.strip() for line in lines)
    assert f"api: {STATUS['services']['api']['reason']}" in text
    assert "critical: no price of [BTC_USDC_PERP] for 30 s" in text
    assert lines[-1] == "not healthy"
    if width == 80:
        assert "+2 columns (restarts, PID): --wide or --json" in lines


def test_status_in_a_pipe_is_rows_and_then_fields(capsys: pytest.CaptureFixture[str]) -> None:
    status_command._show(STATUS, wide=False)
    table, _, fields = capsys.readouterr().out.partition("\n\n")
    rows = rows_of(table)
    assert [(row["service"], row["pid"], row["lag"]) for row in rows] == [
        ("airflow-dag-processor", "4711", ""),
        ("api", "", ""),
    ]
    assert rows[1]["reason"] == STATUS["services"]["api"]["reason"]
    assert fields.splitlines() == [
        "healthy\tfalse",
        "last_price_age_s\t0.2",
        "last_snapshot_age_s\t",
        "engine_form\tcompiled",
        "alert\tcritical\tno price of [BTC_USDC_PERP] for 30 s",
    ]


def test_what_became_of_an_instruction_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    operating.print_outcome("Halting A", Outcome(instruction="i", status="pending", shards=[0]), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"instruction": "i", "status": "pending", "shards": [0]}
    operating.print_answer("Deposit into A", "i", None, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"instruction": "i", "status": "pending", "code": None}
    refusal = Answer(
        id="0:1:0", time=1, instruction="i", account="A", status="rejected", code="INSUFFICIENT_BALANCE"
    )
    with pytest.raises(TradingError):
        operating.print_answer("Withdrawal from A", "i", refusal, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found == {"instruction": "i", "status": "rejected", "code": "INSUFFICIENT_BALANCE"}


def test_a_nightly_run_prints_one_json_value_and_its_log_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Cut(1, date(2026, 3, 1), date(2026, 3, 1), 2, True, [])

    class Nightly:
        def __getattr__(self, name: str) -> Any:
            def step(*_: object, **__: object) -> Any:
                structlog.get_logger().info(name)
                answers = {"take_cut": cut, "cut_var": "{}", "export_month": {"bars/2026-03": 4}}
                return answers.get(name, f"{name} is good")

            return step

    monkeypatch.setattr("paceline.bootstrap.nightly.open_nightly", lambda _: Nightly())
    monkeypatch.setattr("paceline.bootstrap.nightly.build_models", lambda *_: True)
    before = structlog.get_config()
    try:
        result = CliRunner().invoke(cli.app, ["nightly", "--provisional", "--json"])
    finally:
        structlog.configure(**before)
    found = json.loads(result.stdout)
    assert (found["cut"]["as_of_day"], found["rows"]) == ("2026-03-01", {"bars/2026-03": 4})
    assert list(found["gates"]) == ["dbt", "expectations", "parity"]
    assert "take_cut" in result.stderr


def test_a_drill_fits_80_columns(in_terminal: Any, capsys: pytest.CaptureFixture[str]) -> None:
    report = drill_report.Report(
        seed=1,
        began_at="2026-03-01T00:00:00Z",
        seconds=60,
        sent={"accepted": 5},
        kinds={},
        held_back=0,
        repeated=0,
        copies=0,
        hits=[ActResult(service, "kill", 1, 0.0, 1.25) for service in SERVICES],
        checks=[
            Check("every answer that a member got is on the log", 5, []),
            Check("balances", 1, ["off by one"]),
        ],
        stopped_by=None,
    )
    lines = in_terminal(80, lambda: drill_report.show(report))
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[:2] for line in lines[1 : 1 + len(SERVICES)]] == [[name, "1"] for name in SERVICES]
    assert capsys.readouterr().out.splitlines()[-2:] == ["balances: off by one", "FAIL"]


RUNNING_UNTIL_STOPPED = {"up", "stream", "api", "docs", "sandbox", "beat"}


def test_every_command_that_prints_a_result_has_json() -> None:
    def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for inner, one in command.commands.items():
                yield from leaves(f"{name} {inner}", one)
        else:
            yield name, command

    group = typer.main.get_command(cli.app)
    assert isinstance(group, cli.LazyGroup)
    lacking = {
        name
        for top in cli.COMMANDS
        if top not in RUNNING_UNTIL_STOPPED
        for name, command in leaves(top, group.get_command(None, top))
        if not any("--json" in option.opts and option.is_flag for option in command.params)
    }
    assert not lacking


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_help(name: str) -> None:
    text = run(name, "--help")
    assert "Usage: " in text
    example = cli.EXAMPLES.get(name)
    assert example is None or example.split()[1] == name
    assert example is None or "Example: paceline " in " ".join(text.split())
