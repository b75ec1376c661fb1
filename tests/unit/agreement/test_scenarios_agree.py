"""Seeded scenarios through the engine and the reference. `make simulate SEEDS=n` runs more of them."""

import pytest

from tests.support.agreement import check_agreement
from tests.support.engine_messages import Scenario
from tests.support.shared_data import shared_data

LENGTH = 1200


@pytest.mark.parametrize("seed", range(1000, 1012))
def test_engine_agrees_with_reference(seed: int) -> None:
    print(f"again: python -m tests.support.simulate --first {seed} --seeds 1 --messages {LENGTH}")
    scenario = Scenario(seed, LENGTH)
    pair = check_agreement(scenario.lines, scenario.reference.shard)
    assert pair.engine.position == LENGTH


@pytest.mark.parametrize("name", ["basic", "sample"])
def test_engine_agrees_with_reference_on_recorded_messages(name: str) -> None:
    check_agreement(shared_data("engine", f"{name}.jsonl").read_text().splitlines())
