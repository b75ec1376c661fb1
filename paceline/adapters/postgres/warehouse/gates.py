"""The results of the gates (`ops.gate_results`), and alerts for those that failed."""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from paceline.adapters.postgres.connections.transaction import transaction
from paceline.ports.warehouse import Cut, FailedExpectation, Gate


class PostgresGates:
    def __init__(self, url: str) -> None:
        self._url = url

    def record(
        self, run_id: str, gate: Gate, cut: Cut, summary: str, failures: Sequence[FailedExpectation]
    ) -> None:
        details: list[Any] = msgspec.to_builtins(list(failures))
        with transaction(self._url) as connection:
            connection.execute(
                "insert into ops.gate_results (run_id, gate, day, cut_id, passed, summary, details) "
                "values (%s, %s, %s, %s, %s, %s, %s) on conflict (run_id, gate) do update set "
                "(day, cut_id, passed, summary, details, at) = "
                "(excluded.day, excluded.cut_id, excluded.passed, excluded.summary, excluded.details, now())",
                (run_id, gate, cut.day, cut.cut_id, not failures, summary, Jsonb(details)),
            )
            if failures:
                connection.execute(
                    "insert into ops.alerts (severity, source, message, details) values ('critical', "
                    "%s, %s, %s)",
                    (
                        f"gate:{gate}",
                        f"The leaderboard of {cut.as_of_day} is not published: {summary}",
                        Jsonb({"run_id": run_id, "cut_id": cut.cut_id, "failures": details}),
                    ),
                )

    def passed(self, run_id: str, cut_id: int) -> set[str]:
        with transaction(self._url) as connection:
            rows = connection.execute(
                "select gate from ops.gate_results where run_id = %s and cut_id = %s and passed",
                (run_id, cut_id),
            ).fetchall()
        return {row["gate"] for row in rows}
