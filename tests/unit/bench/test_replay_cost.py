"""What the bench of the replay runs, and how it computes the cost."""

from pathlib import Path

import pytest

from bench.replay import Round, cost_figures, loads_seconds, replay_seconds, write_load
from paceline.messages.json_form import decode_line


def test_the_load_is_messages_that_both_ways_read(tmp_path: Path) -> None:
    path, out = tmp_path / "load.jsonl", tmp_path / "out.jsonl"
    lines = write_load(path, accounts=10, messages=200)
    kinds = {type(decode_line(line)).__name__ for line in path.read_bytes().splitlines()}
    assert kinds == {"ConfigureMarket", "OpenAccount", "PriceUpdate", "CreateTrade", "CloseTrade"}
    assert lines == 1 + 10 + 1 + 200
    assert loads_seconds(path) > 0
    assert replay_seconds(path, lines, "python", out) > 0
    assert out.stat().st_size > 0


def test_a_replay_of_other_lines_is_no_measurement(tmp_path: Path) -> None:
    path = tmp_path / "load.jsonl"
    lines = write_load(path, accounts=1, messages=10)
    with path.open("ab") as file:
        file.write(b"torn\n")
    with pytest.raises(RuntimeError, match="has other messages"):
        replay_seconds(path, lines + 1, "python")


def test_the_cost_is_the_median_of_the_rounds() -> None:
    rounds = [Round(1.0, 2.0), Round(2.0, 6.0), Round(1.0, 9.0)]
    rate, cost = cost_figures("replay", 600, rounds, marks=True)
    assert (rate.value, rate.limit) == (100.0, 600.0)
    assert (cost.value, cost.must, cost.aim) == (3.0, 4, 3)
    assert cost_figures("replay", 600, rounds, marks=False)[1].must is None
