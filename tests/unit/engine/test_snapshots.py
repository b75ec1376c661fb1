"""Captures taken at any position and sliced in any way hold exactly the state of that position."""

import json
from pathlib import Path

import pytest

from paceline.core.errors import InvariantViolation
from paceline.core.money import SCALE
from paceline.engine import Engine
from paceline.messages.inbound import CloseTrade, Deposit, Inbound, OpenAccount
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.outbound import Outbound

DAY_US = 24 * 3600 * 1_000_000
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "engine"


def log(name: str) -> list[Inbound]:
    found = []
    for line in (FIXTURES / f"{name}.jsonl").read_bytes().splitlines():
        try:
            found.append(decode_line(line))
        except DecodeError:
            continue
    return found


def run(engine: Engine, messages: list[Inbound]) -> list[Outbound]:
    return [output for message in messages for output in engine.apply(message)]


def stored(chunk: bytes) -> bytes:
    """A chunk as a JSONB column returns it: other spacing, and keys in another order."""

    def reordered(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: reordered(value[key]) for key in sorted(value, key=lambda k: (len(k), k), reverse=True)
            }
        return [reordered(item) for item in value] if isinstance(value, list) else value

    return json.dumps(reordered(json.loads(chunk)), indent=1).encode()


@pytest.mark.parametrize("name", ["trades", "orders", "trailing", "duplicates"])
def test_a_snapshot_at_any_position_plus_replay_equals_a_full_replay(name: str) -> None:
    messages = log(name)
    whole = Engine()
    expected = [whole.apply(message) for message in messages]
    live = Engine()
    for position, message in enumerate(messages):
        capture = live.begin_capture()
        loaded = Engine.load([stored(chunk) for chunk in capture.slices(3)])
        assert loaded.position == capture.position == position
        assert loaded.state_hash() == capture.hash == live.state_hash()
        assert [loaded.apply(rest) for rest in messages[position:]] == expected[position:]
        assert loaded.state_hash() == whole.state_hash()
        live.apply(message)


@pytest.mark.parametrize("name", ["trades", "orders", "trailing", "duplicates"])
@pytest.mark.parametrize("objects_per_slice", [1, 2, 5, 1000])
def test_messages_between_slices_do_not_change_the_capture(name: str, objects_per_slice: int) -> None:
    messages = log(name)
    for start in range(0, len(messages), 7):
        engine = Engine()
        run(engine, messages[:start])
        before = engine.state_hash()
        rest = iter(messages[start:])
        capture = engine.begin_capture()
        chunks = []
        for chunk in capture.slices(objects_per_slice):
            chunks.append(chunk)
            for message in [next(rest, None), next(rest, None)]:
                if message is not None:
                    engine.apply(message)
        assert capture.hash == before
        assert Engine.load(chunks).state_hash() == before


def test_unchanged_chunks_are_identical_in_the_next_snapshot() -> None:
    engine = Engine()
    for number in range(2_000):
        engine.apply(OpenAccount(f"o{number}", DAY_US, f"account-{number}", SCALE))
    for number in range(3_000):
        engine.apply(close(number, DAY_US + number))
    before = by_part(engine)
    engine.apply(Deposit("d", DAY_US + 3_000, "account-700", SCALE))
    engine.apply(close(3_000, DAY_US + 3_000))
    after = by_part(engine)
    assert changed(before["accounts"], after["accounts"]) == [False, True, False, False]
    assert changed(before["answers"], after["answers"]) == [False] * 5 + [True]
    # A day later the older half is forgotten, and no other answer moves to another chunk.
    engine.apply(close(3_001, 2 * DAY_US + 1_100))
    later = by_part(engine)["answers"]
    assert changed(after["answers"][2:], later) == [True, False, False, True]


def close(number: int, time_us: int) -> CloseTrade:
    """An instruction that is refused and whose answer is remembered."""
    return CloseTrade(f"c{number}", time_us, f"account-{number % 2_000}", "0:0:0")


def changed(before: list[bytes], after: list[bytes]) -> list[bool]:
    return [one != other for one, other in zip(before, after, strict=True)]


def by_part(engine: Engine) -> dict[str, list[bytes]]:
    parts: dict[str, list[bytes]] = {}
    for chunk in engine.dump_slices():
        parts.setdefault(json.loads(chunk)["part"], []).append(chunk)
    return parts


def test_two_concurrent_captures_are_independent() -> None:
    messages = log("orders")
    engine = Engine()
    run(engine, messages[:20])
    first, first_hash = engine.begin_capture(), engine.state_hash()
    slices = first.slices(1)
    next(slices)
    run(engine, messages[20:30])
    second, second_hash = engine.begin_capture(), engine.state_hash()
    run(engine, messages[30:])
    assert len(list(second.slices(2))) > 2
    assert len(list(slices)) > 2
    assert (first.hash, second.hash) == (first_hash, second_hash)


def test_the_hash_is_known_only_at_the_end() -> None:
    capture = Engine().begin_capture()
    with pytest.raises(InvariantViolation, match="last slice"):
        _ = capture.hash


def test_a_missing_chunk_changes_the_hash() -> None:
    engine = Engine()
    run(engine, log("trades"))
    chunks = list(engine.begin_capture().slices(2))
    for part in (b"answers", b"trades"):
        some = [chunk for chunk in chunks if b'"part":"' + part in chunk]
        kept = [chunk for chunk in chunks if chunk != some[-1]]
        assert Engine.load(kept).state_hash() != engine.state_hash()
    # Without an account the ledger is not balanced either.
    kept = [chunk for chunk in chunks if b'"part":"accounts"' not in chunk]
    with pytest.raises(InvariantViolation, match="not to zero"):
        Engine.load(kept).state_hash()


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [b'{"part":"accounts","rows":[]}'],
        [b"nonsense"],
        [b'{"part":"header","rows":[[99,0,0,0,0,{},0,0,0,{}]]}'],
    ],
)
def test_invalid_snapshots_are_refused(chunks: list[bytes]) -> None:
    with pytest.raises(InvariantViolation):
        Engine.load(chunks)


def test_the_hash_covers_position_log_time_and_counters() -> None:
    hashes = set()
    engine = Engine()
    hashes.add(engine.state_hash())
    hashes.add(Engine(shard=1).state_hash())
    engine.apply_undecodable()
    hashes.add(engine.state_hash())
    engine.apply(
        decode_line('{"type":"admin_instruction","id":"m","time":9,"kind":"halt_market","symbol":"X"}')
    )
    hashes.add(engine.state_hash())
    assert len(hashes) == 4


def test_a_planted_ledger_error_is_found_during_the_capture() -> None:
    engine = Engine()
    run(engine, log("trades"))
    engine._state.house.fees += 1
    with pytest.raises(InvariantViolation, match="sums to 1"):
        engine.check_ledger()
    with pytest.raises(InvariantViolation, match="sums to 1"):
        list(engine.dump_slices())


def test_numbers_beyond_64_bits_survive() -> None:
    engine = Engine()
    line = {"type": "user_instruction", "id": "i", "time": 1, "kind": "open_account", "account": "a"}
    engine.apply(decode_line(json.dumps(line | {"initial_balance": "9" * 30})))
    account, loaded = (one.account_view("a") for one in (engine, Engine.load(list(engine.dump_slices()))))
    assert account is not None
    assert loaded is not None
    assert loaded.fields() == account.fields()
