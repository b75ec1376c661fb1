"""The macros that compute the metrics, in Postgres.

Expected values come from three sources: arithmetic by hand, the definitions in exact decimals, and the values
that the library empyrical publishes in its own tests.
"""

import json
import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from paceline.adapters.runtime.dbt import PROJECT, dbt_environment
from tests.support.servers import as_role
from tests.support.shared_data import shared_data

MODEL = "{{ return_statistics('daily_returns', ['series']) }}"
Statistics = dict[str, tuple[int, float, float, float | None]]


@pytest.fixture(scope="module")
def compiled(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SQL that dbt compiles from the macro for a table `daily_returns`."""
    target = tmp_path_factory.mktemp("target")
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "compile", "--inline", MODEL]
    command += ["--output", "json", "--quiet", "--target-path", str(target), "--log-path", str(target)]
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    environment = dict(os.environ) | dbt_environment(as_role(postgres_url, "nightly"))
    done = subprocess.run([*command, *folders], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text: str = json.loads(done.stdout)["compiled"]
    return text


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url) as opened:
        opened.execute(
            "create temp table daily_returns (series text, day int, return_ratio double precision)"
        )
        yield opened


def statistics(connection: psycopg.Connection, sql: str, series: dict[str, list[float | None]]) -> Statistics:
    connection.execute("delete from daily_returns")
    with connection.cursor().copy("copy daily_returns from stdin") as copy:
        for name, returns in series.items():
            for day, value in enumerate(returns):
                copy.write_row((name, day, value))
    return {row[0]: row[1:] for row in connection.execute(sql).fetchall()}


def by_definition(returns: Sequence[float]) -> tuple[float, float, float | None]:
    """Compound return, max drawdown and Sharpe ratio over 365 days, in decimals of 50 digits.

    The ratio is None where no day differs from another.
    """
    with localcontext(prec=50):
        exact = [Decimal(value) for value in returns]
        wealth = peak = Decimal(1)
        drawdown = Decimal(0)
        for value in exact:
            wealth *= 1 + value
            peak = max(peak, wealth)
            drawdown = min(drawdown, wealth / peak - 1)
        sharpe = None
        if len(set(exact)) > 1:
            mean = sum(exact) / len(exact)
            variance = sum((value - mean) ** 2 for value in exact) / (len(exact) - 1)
            sharpe = float(mean / variance.sqrt() * Decimal(365).sqrt())
        return float(wealth - 1), float(drawdown), sharpe


def agree(found: Statistics, series: dict[str, list[float | None]]) -> None:
    assert found.keys() == series.keys()
    for name, returns in series.items():
        known = [value for value in returns if value is not None]
        compound, drawdown, sharpe = by_definition(known)
        assert found[name] == (
            len(known),
            pytest.approx(compound, rel=1e-9, abs=1e-12),
            pytest.approx(drawdown, rel=1e-9, abs=1e-12),
            sharpe if sharpe is None else pytest.approx(sharpe, rel=1e-9, abs=1e-12),
        ), name


def test_series_with_hand_computed_values(connection: psycopg.Connection, compiled: str) -> None:
    """The expected values are computed by hand."""
    series: dict[str, list[float | None]] = {
        "up and down": [0.10, -0.50, 1.0],
        "wiped out": [0.5, -1.0, 0.2],
        "flat": [0.01, 0.01, 0.01],
        "one day": [-0.05],
        "no return on the first day": [None, 0.02, -0.01],
        "two falls": [0.25, -0.2, 0.5, -0.5, 0.6],
        "never above the start": [-0.1, 0.05, -0.2],
        "mean of zero": [0.03, -0.03],
    }
    found = statistics(connection, compiled, series)
    agree(found, series)
    assert found["two falls"][1:3] == pytest.approx((0.2, -0.5))
    assert found["never above the start"][1:3] == pytest.approx((-0.244, -0.244))
    assert found["mean of zero"][3] == pytest.approx(0)
    assert found["up and down"][1:3] == pytest.approx((0.1, -0.5))
    assert found["wiped out"][1:3] == pytest.approx((-1.0, -1.0))
    assert found["flat"][3] is None
    assert found["one day"] == (1, pytest.approx(-0.05), pytest.approx(-0.05), None)
    mean, deviation = 0.005, math.sqrt(((0.02 - 0.005) ** 2 + (-0.01 - 0.005) ** 2) / 1)
    assert found["no return on the first day"][3] == pytest.approx(mean / deviation * math.sqrt(365))


def test_random_series_follow_the_definitions(connection: psycopg.Connection, compiled: str) -> None:
    rng = random.Random(20260301)
    series: dict[str, list[float | None]] = {
        f"random {number}": [rng.gauss(0.001, 0.03 * (1 + number % 5)) for _ in range(rng.randrange(2, 400))]
        for number in range(40)
    }
    agree(statistics(connection, compiled, series), series)


def published(known: dict[str, Any], test: str, rest: str) -> dict[str, float]:
    """The numbers of one of empyrical's tests by name of the series; `rest` matches its arguments."""
    return {
        one["series"]: float(number[1])
        for one in known["expected"]
        if one["test"] == test and (number := re.fullmatch(rest, one["rest"]))
    }


def test_published_series_have_the_published_values(connection: psycopg.Connection, compiled: str) -> None:
    known = json.loads(Path(shared_data("metrics", "known_values.json")).read_text())
    series = {name: one["returns"] for name, one in known["series"].items() if one["returns"]}
    lines = Path(shared_data("metrics", "returns.csv")).read_text().split()
    series["returns.csv"] = [float(line.split(",")[1]) / 100 for line in lines]
    found = statistics(connection, compiled, series)
    agree(found, series)

    number = r"(-?\d+\.\d+)"
    compounds = published(known, "test_cum_returns_final", f"0, {number}")
    drawdowns = published(known, "test_max_drawdown", number)
    sharpes = published(known, "test_sharpe_ratio", rf"0\.0, {number}")
    assert compounds.keys() == {"mixed_returns", "negative_returns"}
    assert drawdowns.keys() == {"one_return", "simple_benchmark", "mixed_returns", "positive_returns"}
    assert sharpes.keys() == {"mixed_returns", "positive_returns", "negative_returns"}
    for name, compound in compounds.items():
        assert found[name][1] == pytest.approx(compound, abs=1e-5), name
    for name, drawdown in drawdowns.items():
        assert found[name][2] == pytest.approx(drawdown, abs=1e-12), name
    for name, sharpe in sharpes.items():
        of_365_days = sharpe * math.sqrt(365 / 252)  # published for the 252 days of a year of stock markets
        assert found[name][3] == pytest.approx(of_365_days, rel=1e-9), name
    assert found["flat_line_1"][3] is None  # published as infinity
    assert found["one_return"][3] is None  # published as not a number
