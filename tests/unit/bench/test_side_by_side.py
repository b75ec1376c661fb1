"""The pure parts of the side-by-side bench: ticks, work, medians and table. No contender is installed."""

import gzip
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bench.sidebyside import own_engine, ticks, work
from bench.sidebyside.comparison import AIMS, compare, table
from bench.sidebyside.environments import NoEnvironment, interpreter, python_of

ROOT = Path(__file__).resolve().parents[3]
_FRAME = (
    '{ns} {{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{u},"s":"BTCUSDT",'
    '"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}}}\n'
)
_TRADE = '1723161255088169168 {"stream":"btcusdt@trade","data":{"e":"trade","p":"61800.20"}}\n'


def measured(
    who: str, what: str, quotes: int, orders: int, wall_s: float, *, closed: int | None = None
) -> work.Measured:
    return work.Measured(who, what, quotes, orders, wall_s, wall_s / 2, closed)


def test_recorded_frames_become_quotes_and_are_stored_and_read_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "frames.gz", tmp_path / "quotes.csv"
    reply = '1723161255088169160 {"result":null,"id":1}\n'
    lines = [
        reply,
        _FRAME.format(ns=1723161255088169167, u=1),
        _TRADE,
        _FRAME.format(ns=1723161255088181667, u=2),
    ]
    path.write_bytes(gzip.compress("".join(lines).encode()))

    quotes = ticks.recorded(path)

    assert [quote.time_us for quote in quotes] == [1723161255088169, 1723161255088181]
    assert quotes[0][1:] == (6180020000000, 250700000, 6180030000000, 251000000)
    work.write_quotes(copy, quotes)
    assert work.read_quotes(copy) == quotes


def test_each_twentieth_quote_has_a_bracket_with_a_level_on_each_side() -> None:
    quotes = ticks.walk()[:1_000]
    wanted = list(work.brackets(quotes))

    assert [at for at, _ in wanted] == list(range(19, 1_000, 20))
    assert [bracket.long for _, bracket in wanted] == [True, False] * 25
    for at, bracket in wanted:
        low, high = sorted((bracket.stop_loss, bracket.take_profit))
        assert low < quotes[at].bid < quotes[at].ask < high
        assert (bracket.stop_loss == low) is bracket.long


def test_every_second_limit_order_is_cancelled_and_none_is_marketable() -> None:
    quotes = ticks.walk()[:200]
    orders = list(work.limit_orders(quotes))

    assert sum(order.cancels is None for _, order in orders) == 200
    assert [order.cancels for _, order in orders if order.cancels is not None] == list(range(1, 200, 2))
    for at, order in orders:
        if order.cancels is None:
            assert order.price < quotes[at].bid if order.buy else order.price > quotes[at].ask


def test_our_engine_accepts_all_orders_and_closes_brackets_by_their_levels() -> None:
    quotes = ticks.walk()[:4_000]
    first = quotes[0]

    reasons = own_engine.outcome(first, own_engine.with_brackets(quotes))
    assert 100 < reasons["stop_loss"] + reasons["take_profit"] <= 200

    position = own_engine.engine_with_market(first).position
    reasons = own_engine.outcome(first, own_engine.with_limit_orders(position, quotes))
    assert reasons["cancelled"] == 2_000
    assert reasons["filled"] > 500


def test_a_refused_order_raises() -> None:
    quotes = ticks.walk()[:40]
    with pytest.raises(RuntimeError, match="ORDER_NOT_FOUND"):
        own_engine.outcome(quotes[0], own_engine.with_limit_orders(0, quotes))


def test_rows_have_medians_and_speed_factors() -> None:
    rows = compare(
        [
            measured(work.OURS, work.BRACKETS, 2_000, 300, 0.1),
            measured("nautilus_trader 1.2", work.BRACKETS, 2_000, 300, 3.0),
            measured(work.OURS, work.BRACKETS, 2_000, 300, 0.2),
            measured("nautilus_trader 1.2", work.BRACKETS, 2_000, 300, 9.0),
            measured(work.OURS, work.BRACKETS, 2_000, 300, 7.0),
            measured("nautilus_trader 1.2", work.BRACKETS, 2_000, 300, 5.0),
        ],
        AIMS,
    )
    ours, theirs = rows
    assert (ours.who, ours.orders_per_s, ours.times) == (work.OURS, 1_500, 1)
    assert (theirs.quotes_per_s, theirs.orders_per_s, theirs.orders_per_s_cpu) == (400, 60, 120)
    assert (theirs.times, theirs.times_cpu, theirs.aim) == (pytest.approx(25), pytest.approx(25), 20)


def test_rows_are_grouped_by_work_and_a_slower_result_is_shown() -> None:
    rows = compare(
        [
            measured(work.OURS, work.QUOTES, 100, 0, 1.0),
            measured(work.OURS, work.LIMIT_ORDERS, 0, 300, 2.0),
            measured("other", work.QUOTES, 100, 0, 3.0),
            measured("other", work.LIMIT_ORDERS, 0, 300, 0.5),
        ],
        AIMS,
    )
    assert [(row.what, row.who) for row in rows] == [
        (what, who) for what in (work.QUOTES, work.LIMIT_ORDERS) for who in (work.OURS, "other")
    ]
    assert [row.times for row in rows] == [1, 3, 1, 0.25]
    lines = table(rows).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[-1] == "| limit orders and cancels | other |  | 600 | 1,200 |  | 0.25 × | 0.25 × |  |"


def test_a_contender_that_closed_far_fewer_brackets_is_not_compared() -> None:
    rows = compare(
        [
            measured(work.OURS, work.BRACKETS, 100, 15, 1.0, closed=1_000),
            measured("alike", work.BRACKETS, 100, 15, 2.0, closed=950),
            measured("refusing", work.BRACKETS, 100, 15, 2.0, closed=949),
        ],
        AIMS,
    )
    _, alike, refusing = table(rows).splitlines()[2:]
    assert "| 950 | 2 × | 2 × |" in alike
    assert "| 949 | not the same work | not the same work |" in refusing


def test_the_walk_stays_below_the_order_rate_limit_of_nautilus_trader() -> None:
    times = [quote.time_us for quote in ticks.walk()]
    assert 1_000_000 // (times[1] - times[0]) // work.QUOTES_PER_BRACKET * work.ORDERS_PER_BRACKET < 100
    assert {later - earlier for earlier, later in pairwise(times)} == {times[1] - times[0]}


def test_an_environment_is_kept_until_its_requirements_change(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements-nothing.txt"
    requirements.write_text("# nothing\n")
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "made-of.txt").write_text("# nothing\n")

    python = python_of(folder, requirements, (3, 11), (3, 99))

    assert python == folder / "bin" / "python"
    assert not python.exists()


def test_a_missing_python_version_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert interpreter((3, 11), (3, 99)) == Path(sys.executable)
    monkeypatch.setenv("PATH", os.defpath)
    with pytest.raises(NoEnvironment, match=r"Python 3\.98 to 3\.99 is needed and is not found"):
        interpreter((3, 98), (3, 99))


def test_prints_of_a_library_do_not_disturb_the_answer_on_stdout(tmp_path: Path) -> None:
    work.write_quotes(tmp_path / "quotes.csv", ticks.walk()[:3])
    code = (
        "from bench.sidebyside import work\n"
        "def measure(quotes):\n"
        "    print('noise')\n"
        "    return [work.Measured('who', 'what', len(quotes), 0, 1.0, 2.0)]\n"
        "work.run_contender(measure)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "quotes.csv")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert work.Measured(**answer["measured"][0]) == work.Measured("who", "what", 3, 0, 1.0, 2.0)


def test_the_walk_is_deterministic_and_ordered_by_time() -> None:
    quotes = ticks.walk()
    assert quotes == ticks.walk()
    assert all(before.time_us <= after.time_us for before, after in pairwise(quotes))
