"""The models that dbt built in the `next_…` schemas, and how they are published."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog
from psycopg import sql

from paceline.adapters.postgres.connections.transaction import transaction
from paceline.adapters.postgres.numbers import with_decimal_text
from paceline.core.errors import ConflictError, TransientError
from paceline.ports.warehouse import Cut, FailedExpectation

SCHEMAS: Final = ("staging", "intermediate", "marts")
FAILURES: Final = "next_failures"
# The leaderboard is public. The rest is for analysts.
_GRANTS: Final = """
grant usage on schema marts to analyst, api;
grant select on all tables in schema marts to analyst;
grant select on marts.leaderboard to api;
"""
_OLD: Final = "old_"
_LOCK_TIMEOUT_MS: Final = 10_000
_SAMPLE_ROWS: Final = 20

_log = structlog.get_logger()


class PostgresModels:
    def __init__(self, url: str) -> None:
        self._url = url

    def prepare(self) -> None:
        with transaction(self._url, _LOCK_TIMEOUT_MS) as connection:
            for name in (*(f"next_{schema}" for schema in SCHEMAS), FAILURES):
                connection.execute(_drop(name))
        self._drop_old()

    def failed_tests(self) -> list[FailedExpectation]:
        """dbt stores the rows that a test found in a table named like the test."""
        failures = []
        with transaction(self._url) as connection:
            tests = connection.execute(
                "select table_name from information_schema.tables where table_schema = %s order by 1",
                (FAILURES,),
            ).fetchall()
            for test in tests:
                table = sql.Identifier(FAILURES, test["table_name"])
                found = connection.execute(
                    sql.SQL("select count(*) as rows from {}").format(table)
                ).fetchone()
                assert found is not None
                if found["rows"]:
                    rows = connection.execute(
                        sql.SQL("select to_jsonb(t) as row from {} as t limit {}").format(table, _SAMPLE_ROWS)
                    ).fetchall()
                    failures.append(
                        FailedExpectation(test["table_name"], found["rows"], [one["row"] for one in rows])
                    )
        return failures

    def cut_id(self) -> int | None:
        with transaction(self._url) as connection:
            found = connection.execute(
                "select to_regclass('next_marts.dim_cut') is not null as built"
            ).fetchone()
            if not (found and found["built"]):
                return None
            row = connection.execute("select cut_id from next_marts.dim_cut").fetchone()
        return row["cut_id"] if row else None

    def balances(self, shard: int) -> Iterator[Mapping[str, Any]]:
        return self._rows(
            "select account, cash_usd as cash, margin_usd as margin, locked_usd as locked, balances, "
            "locked_balances "
            "from next_marts.fct_balances where shard = %s",
            shard,
        )

    def open_trades(self, shard: int) -> Iterator[Mapping[str, Any]]:
        return self._rows(
            "select trade, account, symbol, side, leverage, opened_us, quantity, entry_price_usd as "
            "entry_price, "
            "margin_usd as margin, stop_loss_usd as stop_loss, take_profit_usd as take_profit, "
            "liquidation_usd as liquidation from next_marts.fct_open_trades where shard = %s",
            shard,
        )

    def _rows(self, query: str, shard: int) -> Iterator[Mapping[str, Any]]:
        with transaction(self._url) as connection, connection.cursor("parity") as cursor:
            yield from map(with_decimal_text, cursor.execute(query, (shard,)))

    def publish(self, run_id: str, cut: Cut) -> None:
        """Rename the schemas. This locks none of their tables: it waits for no reader, and leaves no gap."""
        with transaction(self._url, _LOCK_TIMEOUT_MS) as connection:
            connection.execute("lock table ops.publications in share row exclusive mode")
            if _published_by(connection, run_id, cut):
                return
            _refuse_older(connection, cut)
            for schema in SCHEMAS:
                if _exists(connection, schema):
                    connection.execute(_rename(schema, f"{_OLD}{schema}_{cut.cut_id}"))
                connection.execute(_rename(f"next_{schema}", schema))
            connection.execute(_GRANTS)
            connection.execute(
                "insert into ops.publications (run_id, day, cut_id, provisional) values (%s, %s, %s, %s)",
                (run_id, cut.as_of_day, cut.cut_id, cut.provisional),
            )
        self._drop_old()

    def _drop_old(self) -> None:
        """Drop old schemas, each in its own transaction; one that is still read is left for the next run."""
        with transaction(self._url) as connection:
            found = connection.execute(
                "select nspname from pg_namespace where starts_with(nspname, %s)", (_OLD,)
            )
            names = [row["nspname"] for row in found]
        for name in names:
            try:
                with transaction(self._url, _LOCK_TIMEOUT_MS) as connection:
                    connection.execute(_drop(name))
            except TransientError as error:
                _log.warning("an old schema is still read", schema=name, reason=error.message)


def _published_by(connection: Any, run_id: str, cut: Cut) -> bool:
    """Whether this publication is done already, and only its answer was lost."""
    key = (run_id, cut.cut_id)
    query = "select from ops.publications where run_id = %s and cut_id = %s"
    return connection.execute(query, key).fetchone() is not None


def _refuse_older(connection: Any, cut: Cut) -> None:
    newer = connection.execute(
        "select cut_id, day from ops.publications where day > %s or cut_id > %s order by id desc limit 1",
        (cut.as_of_day, cut.cut_id),
    ).fetchone()
    if newer:
        raise ConflictError(
            f"The leaderboard of {newer['day']} (cut {newer['cut_id']}) is published already. That of "
            f"{cut.as_of_day} (cut {cut.cut_id}) is older and does not replace it."
        )


def _drop(schema: str) -> sql.Composed:
    return sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema))


def _rename(schema: str, name: str) -> sql.Composed:
    return sql.SQL("alter schema {} rename to {}").format(sql.Identifier(schema), sql.Identifier(name))


def _exists(connection: Any, schema: str) -> bool:
    return connection.execute("select from pg_namespace where nspname = %s", (schema,)).fetchone() is not None
