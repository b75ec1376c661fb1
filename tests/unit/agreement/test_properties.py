"""Properties of the engine that hold for all messages, checked on seeded scenarios."""

import json
from collections.abc import Sequence
from functools import cache
from itertools import islice
from random import Random
from typing import Any

import pytest

from paceline.engine import Engine
from paceline.messages.json_form import DecodeError, decode_line, output_to_json
from paceline.messages.log_form import Undecodable, decode_messages, encode_messages
from tests.support.agreement import apply_line
from tests.support.engine_messages import ACCOUNTS, Scenario

LENGTH = 900
SEEDS = (7, 8, 9)

Json = dict[str, Any]


@cache
def lines_of(seed: int) -> list[str]:
    print(f"seed {seed}, {LENGTH} messages")
    return Scenario(seed, LENGTH).lines


def run(engine: Engine, lines: Sequence[str]) -> list[list[Json]]:
    return [apply_line(engine, line) for line in lines]


def holdings(engine: Engine) -> list[Any]:
    """All state that an instruction can change."""
    return [
        [account.fields() for account in engine.accounts()],
        [trade.fields() for trade in engine.open_trades()],
        [order.fields() for order in engine.resting_orders()],
        engine.ledger(),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_is_balanced_after_each_message(seed: int) -> None:
    engine = Engine()
    for line in lines_of(seed):
        apply_line(engine, line)
        engine.check_ledger()
        for places in engine.ledger().values():
            assert sum(places.values()) == 0
        assert all(
            min(a.cash, a.margin, a.locked, *a.free.values(), *a.held.values()) >= 0
            for a in engine.accounts()
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_batching_does_not_change_outputs_or_state(seed: int) -> None:
    """Batches of any size give the same outputs. An undecodable element affects no other element."""
    rng = Random(seed)
    one_by_one, in_batches = Engine(), Engine()
    expected = run(one_by_one, lines_of(seed))
    actual: list[list[Json]] = []
    elements = iter([message_or_junk(line) for line in lines_of(seed)])
    while batch := list(islice(elements, rng.randint(1, 60))):
        for message in decode_messages(encode_messages(batch)):
            if isinstance(message, Undecodable):
                in_batches.apply_undecodable()
                actual.append([])
            else:
                actual.append([output_to_json(output) for output in in_batches.apply(message)])
    assert actual == expected
    assert in_batches.state_hash() == one_by_one.state_hash()


def message_or_junk(line: str) -> Any:
    try:
        return decode_line(line)
    except DecodeError:
        return "no message"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_snapshot_plus_replay_equals_a_full_replay(seed: int) -> None:
    """A snapshot at any position, taken while messages are applied, leads to the same outputs and hash."""
    rng, lines = Random(seed), lines_of(seed)
    whole = Engine(shard=3)
    outputs = run(whole, lines)
    for position in [0, 1, LENGTH, *rng.sample(range(LENGTH), 6)]:
        live = Engine(shard=3)
        run(live, lines[:position])
        at_position = live.state_hash()
        chunks, capture = [], live.begin_capture()
        ahead = iter(lines[position:])
        for chunk in capture.slices(rng.randint(1, 8)):
            chunks.append(chunk)
            run(live, list(islice(ahead, rng.randint(0, 3))))
        assert (capture.position, capture.hash) == (position, at_position)
        loaded = Engine.load(chunks)
        assert (loaded.position, loaded.shard, loaded.state_hash()) == (position, 3, at_position)
        assert run(loaded, lines[position:]) == outputs[position:]
        assert loaded.state_hash() == whole.state_hash()
        run(live, list(ahead))
        assert live.state_hash() == whole.state_hash()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_duplicate_changes_nothing(seed: int) -> None:
    """A duplicate gets the first answer with a new output id. No balance, trade, order or posting changes."""
    engine = Engine()
    repeated = 0
    for line in lines_of(seed):
        first = apply_line(engine, line)
        if not first or first[0]["type"] != "order_response" or is_not_remembered(line, first[0]):
            continue
        before, position = holdings(engine), engine.position
        again = apply_line(engine, line)
        repeated += 1
        expected = first[0] | {"id": f"0:{position}:0", "time": engine.log_time, "duplicate": True}
        assert again == [expected]
        assert holdings(engine) == before
    assert repeated > 100


def is_not_remembered(line: str, response: Json) -> bool:
    """Whether the account did not exist when the instruction was applied."""
    opened = json.loads(line)["kind"] == "open_account" and response["status"] == "accepted"
    return opened or bool(response["code"] == "ACCOUNT_NOT_FOUND")


@pytest.mark.parametrize("seed", SEEDS)
def test_accounts_do_not_influence_each_other(seed: int) -> None:
    """Without one account's instructions the others get the same outputs, except for ordinals."""
    lines = lines_of(seed)
    merge_heartbeats = run(Engine(), lines)
    for removed in ACCOUNTS[:3]:
        without = run(Engine(), [without_account(line, removed) for line in lines])
        assert of_others(without, removed) == of_others(merge_heartbeats, removed)


def without_account(line: str, account: str) -> str:
    """Replace an instruction of the account by a line that only advances the log time."""
    try:
        message = json.loads(line)
        if message["type"] != "user_instruction" or message["account"] != account:
            return line
    except (ValueError, KeyError, TypeError):
        return line
    if message_or_junk(line) == "no message":
        return line
    return json.dumps(
        {
            "type": "admin_instruction",
            "id": "silence",
            "time": message["time"],
            "kind": "resume_account",
            "account": "unknown",
        }
    )


def of_others(outputs: list[list[Json]], account: str) -> list[Json]:
    return [
        output | {"id": output["id"].rpartition(":")[0]}
        for of_message in outputs
        for output in of_message
        if output["account"] != account
    ]
