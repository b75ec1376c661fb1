"""The checks of a drill pass on the outputs of a real engine and detect each kind of error."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paceline.adapters.postgres.numbers import to_numeric
from paceline.core.times import MINUTE_US
from paceline.domain.market.bars import BarMaker
from paceline.drill import checks, evidence
from paceline.drill.evidence import ShardEvidence, Snapshot
from paceline.drill.load import Attempt, Sent
from paceline.engine import Engine
from paceline.messages.inbound import USER_TYPES, PriceUpdate
from paceline.messages.json_form import output_to_json
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse
from paceline.usecases.replay.export_log import line_of
from tests.support.scenario_log import day, scenario_messages

NEVER_SENT_US = 1 << 62


@pytest.fixture
def shard() -> ShardEvidence:
    done = day(scenario_messages(seed=4, length=600))
    engine = done.engine
    chunks = list(engine.dump_slices())
    snapshot = Snapshot(engine.position, 1, engine.state_hash(), chunks)
    outputs = {output.id: output for effect in done.effects for output in effect.outputs}
    instructions = {
        position: message for position, message in enumerate(done.messages) if isinstance(message, USER_TYPES)
    }
    return ShardEvidence(
        shard=0,
        engine=engine,
        outputs=outputs,
        instructions=instructions,
        cli_hash=engine.state_hash(),
        ledger_sums={asset: sum(kinds.values()) for asset, kinds in engine.ledger().items()},
        snapshots=[snapshot],
        resumed_hash=Engine.load(chunks).state_hash(),
        out=dict(outputs),
    )


def answers(shard: ShardEvidence) -> list[OrderResponse]:
    return [output for output in shard.outputs.values() if isinstance(output, OrderResponse)]


def first_of(shard: ShardEvidence, kind: type[Any]) -> Any:
    return next(output for output in shard.outputs.values() if isinstance(output, kind))


def sent(answer: OrderResponse, *replies: Attempt, looked_up: Attempt | None = None) -> Sent:
    return Sent(answer.instruction, answer.account, "create", "create", {}, list(replies), looked_up)


def attempt_of(answer: OrderResponse) -> Attempt:
    if answer.status == "accepted":
        return Attempt("accepted", 200, output_to_json(answer), 0)
    return Attempt("rejected", 422, {"code": answer.code, "details": {}}, 0)


def pending(outcome: Any = "pending") -> Attempt:
    return Attempt(outcome, 202, {}, 0)


def everything_sent(shard: ShardEvidence) -> list[Sent]:
    return [sent(answer, attempt_of(answer)) for answer in answers(shard)]


def test_correct_evidence_passes(shard: ShardEvidence) -> None:
    words = checks.logged_instructions([shard])
    all_sent = everything_sent(shard)
    for check in (
        checks.one_answer_each([shard]),
        checks.outputs_match_replay([shard]),
        checks.all_logged_were_sent(all_sent, words),
        checks.answers_match_log(all_sent, words),
        checks.no_unexpected_answers(all_sent),
        checks.ledger_sums_to_zero([shard]),
        checks.hashes_agree([shard]),
    ):
        assert check.passed, check.line()
        assert check.compared > 0


def test_a_check_without_evidence_fails() -> None:
    assert not checks.one_answer_each([]).passed
    assert checks.all_settled([]).passed


def test_lost_and_changed_outputs_are_detected(shard: ShardEvidence) -> None:
    answer, balance = first_of(shard, OrderResponse), first_of(shard, BalanceUpdate)
    del shard.out[answer.id]
    shard.out[balance.id] = msgspec.structs.replace(balance, cash=balance.cash + 1)
    assert [answer.instruction in problem for problem in checks.one_answer_each([shard]).problems] == [True]
    assert len(checks.outputs_match_replay([shard]).problems) == 2


def test_an_instruction_executed_twice_is_detected(shard: ShardEvidence) -> None:
    answer = next(a for a in answers(shard) if not a.duplicate and a.code != "ACCOUNT_NOT_FOUND")
    word = checks.LoggedInstruction([1, 2], [answer, msgspec.structs.replace(answer, id="0:9:0")])
    assert not checks.carried_out_once({(answer.account, answer.instruction): word}).passed
    repeated = checks.LoggedInstruction(
        [1, 2], [answer, msgspec.structs.replace(answer, id="0:9:0", duplicate=True)]
    )
    assert checks.carried_out_once({(answer.account, answer.instruction): repeated}).passed


def test_an_instruction_that_was_not_sent_is_detected(shard: ShardEvidence) -> None:
    words = checks.logged_instructions([shard])
    missing = next(answer for answer in answers(shard) if not answer.instruction.startswith("open-"))
    others = [one for one in everything_sent(shard) if one.key != missing.instruction]
    assert missing.instruction in checks.all_logged_were_sent(others, words).line()


def test_an_answer_that_is_not_on_the_log_is_detected(shard: ShardEvidence) -> None:
    words = checks.logged_instructions([shard])
    answer = next(a for a in answers(shard) if a.status == "accepted")
    lie = attempt_of(msgspec.structs.replace(answer, time=answer.time + 1))
    assert not checks.answers_match_log([sent(answer, lie)], words).passed
    assert not checks.answers_match_log([sent(answer, attempt_of(answer))], {}).passed


def test_pending_instructions_must_be_found_later(shard: ShardEvidence) -> None:
    words = checks.logged_instructions([shard])
    answer = first_of(shard, OrderResponse)
    unknown = Attempt("unknown", 404, {}, NEVER_SENT_US)
    assert not checks.pending_found_later([sent(answer, pending(), looked_up=unknown)], words).passed
    assert checks.pending_found_later([sent(answer, pending(), looked_up=unknown)], {}).passed
    assert not checks.all_settled([sent(answer, pending(), looked_up=unknown)]).passed
    assert checks.all_settled([sent(answer, pending(), looked_up=attempt_of(answer))]).passed


def test_refused_instructions_must_not_be_on_the_log(shard: ShardEvidence) -> None:
    words = checks.logged_instructions([shard])
    answer = first_of(shard, OrderResponse)
    assert not checks.refused_not_logged([sent(answer, pending("refused"))], words).passed
    assert checks.refused_not_logged([sent(answer, pending("refused"))], {}).passed


def test_an_error_of_the_api_is_detected(shard: ShardEvidence) -> None:
    answer = first_of(shard, OrderResponse)
    assert not checks.no_unexpected_answers([sent(answer, Attempt("wrong", 500, {}, 0))]).passed


def test_missing_and_duplicate_rows_are_detected(shard: ShardEvidence) -> None:
    expected = Counter(
        (o.id, o.account, o.trade, o.order, o.reason, o.quantity, o.remaining, o.profit, o.fee)
        for o in shard.outputs.values()
        if isinstance(o, ClosedOrder)
    )
    assert checks.stored_closed_orders_are([shard], expected).passed
    row = next(iter(expected))
    assert checks.stored_closed_orders_are([shard], expected + Counter([row])).problems == [
        f"unexpected {row}"
    ]
    assert checks.stored_closed_orders_are([shard], expected - Counter([row])).problems == [f"missing {row}"]


@pytest.mark.parametrize("name", ["cli_hash", "resumed_hash"])
def test_a_different_hash_is_detected(shard: ShardEvidence, name: str) -> None:
    setattr(shard, name, "0" * 64)
    assert not checks.hashes_agree([shard]).passed


def test_a_ledger_that_does_not_sum_to_zero_is_detected(shard: ShardEvidence) -> None:
    shard.ledger_sums["USD"] = 1
    assert checks.ledger_sums_to_zero([shard]).problems == ["shard 0: USD sums to 1"]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The log of shard 0 with prices of some minutes, dropped ones included."""
    messages = scenario_messages(seed=4, length=600)
    prices = [
        PriceUpdate(
            "p", 10**12 + n * MINUTE_US // 9, "DOGE", 50 + n * 7 % 11, 1, 70 + n * 5 % 13, 1, n * 3 % 50
        )
        for n in range(60)
    ]
    lines = [line_of(message) for message in [*messages, *prices]]
    evidence.exported(tmp_path, 0).write_bytes(b"".join(line + b"\n" for line in lines))
    return tmp_path


def stored_bars_of(folder: Path) -> dict[str, list[int]]:
    """What a reader of the log stores, through the columns' form and back."""
    maker = BarMaker({})
    maker.add(message for message in evidence.messages_of(evidence.exported(folder, 0)) if message)
    found = {}
    for part in maker.take():
        edges = [
            getattr(side, name) for side in (part.bid, part.ask) for name in ("open", "high", "low", "close")
        ]
        numbers = [evidence.from_numeric(to_numeric(edge)) for edge in edges]
        found[f"{part.symbol} {part.minute_us // MINUTE_US}"] = [*numbers, part.updates, part.last_update_id]
    return found


def test_bars_are_held_against_the_exported_log(exported: Path) -> None:
    expected, stored = evidence.bars_of(exported), stored_bars_of(exported)
    check = checks.stored_bars_are(expected, stored)
    assert check.passed, check.line()
    assert check.compared > 8
    name = next(iter(stored))
    for place in range(10):
        wrong = stored | {name: [*stored[name][:place], stored[name][place] + 1, *stored[name][place + 1 :]]}
        assert len(checks.stored_bars_are(expected, wrong).problems) == 1
    missing = {key: bar for key, bar in stored.items() if key != name}
    assert checks.stored_bars_are(expected, missing).problems == [f"{name} is missing"]
    extra = stored | {"NONE 1": stored[name]}
    assert checks.stored_bars_are(expected, extra).problems == ["NONE 1 is unexpected"]
