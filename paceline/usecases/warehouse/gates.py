"""The checks before a publication: dbt's tests, the expectations, and parity with the engine's state."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from paceline.core.errors import ConflictError, InvariantViolation
from paceline.core.money import format_decimal
from paceline.engine import Engine
from paceline.ports.warehouse import (
    Cut,
    CutStore,
    ExpectationChecker,
    FailedExpectation,
    Gate,
    GateStore,
    ModelStore,
    ShardCut,
)

SAMPLE_ROWS: Final = 20
Keyed = dict[str, dict[str, Any]]


class GateFailedError(ConflictError):
    """A gate failed, so nothing is published. The earlier publication stays."""

    default_code = "GATE_FAILED"


def check_dbt(gates: GateStore, models: ModelStore, run_id: str, cut: Cut, *, built: bool) -> str:
    """Check a finished dbt build; `built` says whether all of it succeeded. Returns the summary."""
    failures = models.failed_tests()
    if not built and not failures:
        failures = [
            FailedExpectation(
                "every model builds and every test runs (the task's log shows which did not)", 1, []
            )
        ]
    return _record(
        gates, "dbt", run_id, cut, failures, passed="all models were built and all of dbt's tests passed"
    )


def check_expectations(gates: GateStore, expectations: ExpectationChecker, run_id: str, cut: Cut) -> str:
    """Check the new models with the expectations. Returns the summary."""
    count, failures = expectations()
    return _record(gates, "expectations", run_id, cut, failures, passed=f"all {count} expectations hold")


def check_parity(gates: GateStore, cuts: CutStore, models: ModelStore, run_id: str, cut: Cut) -> str:
    """Compare the new models' balances and open trades with the engine's snapshots. They must be equal."""
    engines = [_engine_of(cuts, cut, shard) for shard in cut.shards]
    failures = [one for one in engines if isinstance(one, FailedExpectation)]
    accounts = trades = 0
    # If a snapshot is not valid there is nothing to compare with.
    for engine in [] if failures else [one for one in engines if isinstance(one, Engine)]:
        balances = {account.name: _balance(account) for account in engine.accounts()}
        open_trades = {trade.id: _trade(trade) for trade in engine.open_trades()}
        accounts += len(balances)
        trades += len(open_trades)
        shard = engine.shard
        failures += _compare(f"balances of shard {shard}", balances, models.balances(shard), "account")
        failures += _compare(f"open trades of shard {shard}", open_trades, models.open_trades(shard), "trade")
    passed = f"{accounts} balances and {trades} open trades are those of the engine"
    return _record(gates, "parity", run_id, cut, failures, passed=passed)


def _engine_of(cuts: CutStore, cut: Cut, shard: ShardCut) -> Engine | FailedExpectation:
    """The engine at the cut, or a failure if the copied snapshot is not the one that the engine wrote."""
    row: dict[str, Any] = {"shard": shard.shard, "expected": shard.state_hash, "position": shard.position}
    try:
        engine = Engine.load(cuts.chunks(cut.cut_id, shard.shard))
        found = engine.state_hash()
        if found == shard.state_hash and engine.position == shard.position:
            return engine
        row |= {"found": found, "found_position": engine.position}
    except InvariantViolation as error:
        row["found"] = error.message
    return FailedExpectation(f"the copied snapshot of shard {shard.shard} has its hash", 1, [row])


def _record(
    gates: GateStore, gate: Gate, run_id: str, cut: Cut, failures: list[FailedExpectation], *, passed: str
) -> str:
    """Store a gate's result. Returns the summary `passed`, or raises `GateFailed`."""
    if not failures:
        gates.record(run_id, gate, cut, passed, [])
        return passed
    summary = "; ".join(f"{one.expectation}: {one.rows_failed} rows" for one in failures)
    gates.record(run_id, gate, cut, summary, failures)
    lines = [f"The gate {gate!r} failed, so nothing is published. {summary}"]
    lines += [f"  {one.expectation}: {row}" for one in failures for row in one.rows[:SAMPLE_ROWS]]
    raise GateFailedError("\n".join(lines), details={"gate": gate})


def _balance(account: Any) -> dict[str, Any]:
    return {
        "cash": format_decimal(account.cash),
        "margin": format_decimal(account.margin),
        "locked": format_decimal(account.locked),
        "balances": {asset: format_decimal(amount) for asset, amount in account.free.items()},
        "locked_balances": {asset: format_decimal(amount) for asset, amount in account.held.items()},
    }


def _trade(trade: Any) -> dict[str, Any]:
    def level(value: int | None) -> str | None:
        return None if value is None else format_decimal(value)

    return {
        "account": trade.account,
        "symbol": trade.symbol,
        "side": trade.side,
        "leverage": trade.leverage,
        "opened_us": trade.opened,
        "quantity": format_decimal(trade.quantity),
        "entry_price": format_decimal(trade.entry),
        "margin": format_decimal(trade.margin),
        "stop_loss": level(trade.stop_loss),
        "take_profit": level(trade.take_profit),
        "liquidation": level(trade.liquidation),
    }


def _compare(
    what: str, engine: Keyed, rows: Iterable[Mapping[str, Any]], key: str
) -> Iterator[FailedExpectation]:
    """At most one failure, with the engine's and the model's values of the rows that differ."""
    models: Keyed = {}
    for row in rows:
        values = dict(row)
        models[values.pop(key)] = values
    differing = sorted(name for name in engine.keys() | models.keys() if engine.get(name) != models.get(name))
    if differing:
        samples = [
            {key: name, "engine": engine.get(name), "model": models.get(name)}
            for name in differing[:SAMPLE_ROWS]
        ]
        yield FailedExpectation(f"{what} are those of the engine's snapshot", len(differing), samples)
