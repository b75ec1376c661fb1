"""Worked examples: messages give exactly these output bytes and this final state hash.

A golden hash changes only with the engine or the form of its state: record that in CHANGELOG.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from paceline.engine import Engine
from paceline.messages.inbound import Inbound
from paceline.messages.json_form import DecodeError, decode_line, encode_line, output_to_json
from tests.support.shared_data import shared_data

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "engine"
SCENARIOS = ["trades", "orders", "trailing", "duplicates"]
SHARED = ["basic", "sample"]


def messages(path: Path) -> Iterator[Inbound | None]:
    """The messages of a file; None for an undecodable line."""
    for line in path.read_bytes().splitlines():
        try:
            yield decode_line(line)
        except DecodeError:
            yield None


def outputs_of(engine: Engine, path: Path) -> list[bytes]:
    lines = []
    for message in messages(path):
        if message is None:
            engine.apply_undecodable()
        else:
            lines += [encode_line(output_to_json(output)) for output in engine.apply(message)]
        engine.check_ledger()
    return lines


def check(folder: Path, name: str) -> None:
    engine = Engine()
    assert (
        outputs_of(engine, folder / f"{name}.jsonl")
        == (folder / f"{name}.out.jsonl").read_bytes().splitlines()
    )
    golden = json.loads((FIXTURES / "golden_hashes.json").read_text(encoding="utf-8"))
    assert engine.state_hash() == golden[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_project_examples(name: str) -> None:
    check(FIXTURES, name)


@pytest.mark.parametrize("name", SHARED)
def test_shared_examples(name: str) -> None:
    check(shared_data("engine", f"{name}.jsonl").parent, name)
