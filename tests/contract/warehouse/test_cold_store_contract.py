"""What `ColdStore` promises: a month's rows in a file, which takes the place of the old one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from paceline.adapters.files.parquet import ParquetStore
from paceline.core.errors import TransientError
from paceline.ports.warehouse import ColdStore
from tests.support.fakes.store import lost
from tests.support.fakes.warehouse.warehouse import FakeColdStore

IN_MONTH = "day >= %(start)s and day < %(end)s"
MARCH = {"start": date(2026, 3, 1), "end": date(2026, 4, 1)}
APRIL = {"start": date(2026, 4, 1), "end": date(2026, 5, 1)}
ROWS = [
    {"account": "ada", "day": date(2026, 3, 31), "equity_usd": Decimal("12.00000001")},
    {"account": "bob", "day": date(2026, 3, 31), "equity_usd": Decimal("-1.00000000")},
    {"account": "ada", "day": date(2026, 4, 1), "equity_usd": Decimal("13.00000000")},
]


@dataclass
class Subject:
    """`file` is what a month's file holds, in the order of accounts; `forget` removes bob from the table."""

    cold: ColdStore
    file: Callable[[str], list[dict[str, Any]]]
    forget: Callable[[], None]


def fake() -> Subject:
    cold = FakeColdStore({"days": list(ROWS)})

    def forget() -> None:
        cold.tables["days"] = [row for row in ROWS if row["account"] != "bob"]

    return Subject(cold, lambda month: sorted(cold.files["days", month], key=repr), forget)


def parquet(url: str, folder: Path) -> Subject:
    with psycopg.connect(url) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.days (account text, day date, equity_usd numeric(38, 8))")
        connection.cursor().executemany(
            "insert into marts.days values (%(account)s, %(day)s, %(equity_usd)s)", ROWS
        )

    def file(month: str) -> list[dict[str, Any]]:
        [path] = (folder / "days" / f"month={month}").iterdir()
        query = "select * from read_parquet(?, hive_partitioning = false) order by account"
        with duckdb.connect() as duck:
            return duck.sql(query, params=[str(path)]).to_arrow_table().to_pylist()

    def forget() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("delete from marts.days where account = 'bob'")

    return Subject(ParquetStore(url, folder), file, forget)


@pytest.fixture(params=["fake", "parquet"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    if request.param == "fake":
        return fake()
    return parquet(request.getfixturevalue("fresh_database")(), tmp_path)


def test_a_month_has_its_rows_to_the_last_unit(subject: Subject) -> None:
    assert subject.cold.export("days", "2026-03", IN_MONTH, MARCH) == 2
    assert subject.file("2026-03") == ROWS[:2]


def test_a_table_may_be_kept_as_it_stands(subject: Subject) -> None:
    assert subject.cold.export("days", "2026-04", "true", APRIL) == 3


def test_a_second_export_takes_the_place_of_the_first_and_of_no_other(subject: Subject) -> None:
    subject.cold.export("days", "2026-03", IN_MONTH, MARCH)
    subject.cold.export("days", "2026-04", IN_MONTH, APRIL)
    subject.forget()
    assert subject.cold.export("days", "2026-03", IN_MONTH, MARCH) == 1
    assert subject.file("2026-03") == ROWS[:1]
    assert subject.file("2026-04") == ROWS[2:]


@pytest.mark.parametrize("kind", ["fake", "parquet"])
def test_a_store_that_is_away_is_told_as_passing(kind: str, lost_url: str, tmp_path: Path) -> None:
    away: ColdStore = lost(FakeColdStore({})) if kind == "fake" else ParquetStore(lost_url, tmp_path)
    with pytest.raises(TransientError):
        away.export("days", "2026-03", IN_MONTH, MARCH)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
