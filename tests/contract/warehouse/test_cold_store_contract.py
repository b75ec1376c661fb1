"""Contract of `ColdStore`: a month's rows in one file, which replaces the older file."""

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
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.warehouse.warehouse import FakeColdStore
from tests.support.servers import as_role

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
    """`file` returns the rows of a month's file, sorted by account; `forget` deletes bob from the table."""

    cold: ColdStore
    file: Callable[[str], list[dict[str, Any]]]
    forget: Callable[[], None]


def fake() -> Subject:
    cold = FakeColdStore({"days": list(ROWS)})

    def forget() -> None:
        cold.tables["days"] = [row for row in ROWS if row["account"] != "bob"]

    return Subject(cold, lambda month: sorted(cold.files["days", month], key=repr), forget)


def parquet(database: str, folder: Path) -> Subject:
    url = as_role(database, "nightly")
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


def test_an_export_holds_the_exact_rows_of_the_month(subject: Subject) -> None:
    assert subject.cold.export("days", "2026-03", IN_MONTH, MARCH) == 2
    assert subject.file("2026-03") == ROWS[:2]


def test_a_whole_table_can_be_exported(subject: Subject) -> None:
    assert subject.cold.export("days", "2026-04", "true", APRIL) == 3


def test_a_second_export_replaces_the_file_of_that_month_only(subject: Subject) -> None:
    subject.cold.export("days", "2026-03", IN_MONTH, MARCH)
    subject.cold.export("days", "2026-04", IN_MONTH, APRIL)
    subject.forget()
    assert subject.cold.export("days", "2026-03", IN_MONTH, MARCH) == 1
    assert subject.file("2026-03") == ROWS[:1]
    assert subject.file("2026-04") == ROWS[2:]


@pytest.mark.parametrize("kind", ["fake", "parquet"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_url: str, tmp_path: Path) -> None:
    unavailable: ColdStore = (
        make_unavailable(FakeColdStore({})) if kind == "fake" else ParquetStore(unreachable_url, tmp_path)
    )
    with pytest.raises(TransientError):
        unavailable.export("days", "2026-03", IN_MONTH, MARCH)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
