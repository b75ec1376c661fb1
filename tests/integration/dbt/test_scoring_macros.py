"""The metric macros, run in Postgres and compared with empyrical and its published values."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import empyrical
import numpy as np
import psycopg
import pytest

from paceline.adapters.runtime.dbt import PROJECT, dbt_environment
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
    environment = dict(os.environ) | dbt_environment(postgres_url)
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


def assert_agrees_with_empyrical(found: Statistics, series: dict[str, list[float | None]]) -> None:
    for name, returns in series.items():
        known = np.array([value for value in returns if value is not None])
        days, compound, drawdown, sharpe = found[name]
        assert days == len(known)
        assert compound == pytest.approx(empyrical.cum_returns_final(known), rel=1e-9, abs=1e-12), name
        assert drawdown == pytest.approx(empyrical.max_drawdown(known), rel=1e-9, abs=1e-12), name
        expected = empyrical.sharpe_ratio(known, annualization=365) if known.std() > 0 else math.nan
        if sharpe is None:
            assert not math.isfinite(expected), name
        else:
            assert sharpe == pytest.approx(expected, rel=1e-9), name


def test_series_with_hand_computed_values(connection: psycopg.Connection, compiled: str) -> None:
    """The expected values are computed by hand."""
    series: dict[str, list[float | None]] = {
        "up and down": [0.10, -0.50, 1.0],
        "wiped out": [0.5, -1.0, 0.2],
        "flat": [0.01, 0.01, 0.01],
        "one day": [-0.05],
        "no return on the first day": [None, 0.02, -0.01],
    }
    found = statistics(connection, compiled, series)
    assert found["up and down"][1:3] == pytest.approx((0.1, -0.5))
    assert found["wiped out"][1:3] == pytest.approx((-1.0, -1.0))
    assert found["flat"][3] is None
    assert found["one day"] == (1, pytest.approx(-0.05), pytest.approx(-0.05), None)
    mean, deviation = 0.005, math.sqrt(((0.02 - 0.005) ** 2 + (-0.01 - 0.005) ** 2) / 1)
    assert found["no return on the first day"][3] == pytest.approx(mean / deviation * math.sqrt(365))


def test_random_series_agree_with_empyrical(connection: psycopg.Connection, compiled: str) -> None:
    rng = random.Random(20260301)
    series: dict[str, list[float | None]] = {
        f"random {number}": [rng.gauss(0.001, 0.03 * (1 + number % 5)) for _ in range(rng.randrange(2, 400))]
        for number in range(40)
    }
    assert_agrees_with_empyrical(statistics(connection, compiled, series), series)


def test_published_series_agree_with_empyrical(connection: psycopg.Connection, compiled: str) -> None:
    known = json.loads(Path(shared_data("metrics", "known_values.json")).read_text())["series"]
    series = {name: one["returns"] for name, one in known.items() if one["returns"]}
    lines = Path(shared_data("metrics", "returns.csv")).read_text().split()
    series["returns.csv"] = [float(line.split(",")[1]) / 100 for line in lines]
    found = statistics(connection, compiled, series)
    assert_agrees_with_empyrical(found, series)
    assert found["mixed_returns"][1] == pytest.approx(0.03893, abs=1e-5)
    assert found["negative_returns"][1] == pytest.approx(-0.36590, abs=1e-5)
    assert found["mixed_returns"][2] == pytest.approx(-0.1)
