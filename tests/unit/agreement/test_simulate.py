"""The simulator finds a planted fault, shrinks its scenario, and prints how to repeat it."""

from pathlib import Path
from typing import Any

import pytest

from paceline.engine import Engine
from paceline.messages.inbound import Inbound
from paceline.messages.outbound import ClosedOrder, Outbound
from tests.support import agreement
from tests.support.simulate import main, run_seed


class FaultyEngine:
    """An engine that omits outputs of trailing stops. A wrapper, as a compiled class cannot be subclassed."""

    def __init__(self, shard: int) -> None:
        self._engine = Engine(shard)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def apply(self, message: Inbound) -> list[Outbound]:
        outputs = self._engine.apply(message)
        return [o for o in outputs if not (isinstance(o, ClosedOrder) and o.reason == "trailing_stop")]


def test_seeds_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "40", "--seeds", "2", "--messages", "300", "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "seed 40: 300 messages" in printed
    assert "all agree" in printed


def test_a_planted_fault_is_found_and_shrunk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(agreement, "Engine", FaultyEngine)
    assert (
        main(["--first", "2", "--seeds", "1", "--messages", "300", "--jobs", "1", "--out", str(tmp_path)])
        == 1
    )
    printed = capsys.readouterr().out
    assert "DISAGREE" in printed
    assert "--first 2 --seeds 1 --messages 300" in printed
    lines = (tmp_path / "seed-2.jsonl").read_text(encoding="utf-8").splitlines()
    assert 4 <= len([line for line in lines if line]) <= 8, "market, price, account, trade, fall"
    with pytest.raises(agreement.Disagreement, match="trailing_stop"):
        agreement.check_agreement(lines, shard=2)


def test_a_seed_is_reproducible() -> None:
    first, again = run_seed(5, 300), run_seed(5, 300)
    assert first.problem is None
    assert (first.state_hash, first.outputs) == (again.state_hash, again.outputs)


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--jobs", "0"], ["--first", "-1"], ["--seeds", "x"]])
def test_wrong_options_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
