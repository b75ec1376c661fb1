"""Runs the suites on Postgres as one checkpoint. Its context is in memory and exists for one run."""

import logging
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from paceline.adapters.postgres.connections.transaction import transaction
from paceline.ports.warehouse import FailedExpectation
from quality.suites import SUITES, Expectation

_SAMPLE_ROWS: Final = 20


class PostgresExpectations:
    def __init__(self, url: str, suites: Mapping[str, Sequence[Expectation]] = SUITES) -> None:
        self._url = url
        self._suites = suites

    def __call__(self) -> tuple[int, list[FailedExpectation]]:
        """Check the new models. Returns the number of expectations and the failures.

        Great Expectations takes seconds to import, so it is imported here."""
        published = _published_schema(self._url)
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        sources = {
            schema: context.data_sources.add_postgres(schema, connection_string=self._url_for(schema))
            for schema in {table.partition(".")[0] for table in self._suites}
        }
        try:
            return self._check(gx, context, sources, published)
        finally:
            for source in sources.values():
                source.get_execution_engine().close()
                source.get_engine().dispose()

    def _check(
        self, gx: Any, context: Any, sources: Any, published: str
    ) -> tuple[int, list[FailedExpectation]]:
        checks = [
            _validation(gx, context, sources, table, expectations, published=published)
            for table, expectations in self._suites.items()
        ]
        checkpoint = gx.Checkpoint(
            name="before publication",
            validation_definitions=checks,
            result_format={"result_format": "COMPLETE", "partial_unexpected_count": _SAMPLE_ROWS},
        )
        outcome = context.checkpoints.add(checkpoint).run()
        results = [(table, result) for table, result in _results(outcome)]
        return len(results), [_failure(table, result) for table, result in results if not result.success]

    def _url_for(self, schema: str) -> str:
        """The URL with a search path, so that unqualified table names refer to `schema`."""
        url = self._url.replace("postgresql://", "postgresql+psycopg://", 1)
        separator = "&" if "?" in url else "?"
        return f"{url}{separator}options=-csearch_path%3D{schema}"


def _published_schema(url: str) -> str:
    """The schema to compare with: before the first publication, the new models themselves."""
    with transaction(url) as connection:
        row = connection.execute("select to_regclass('marts.dim_cut') is not null as there").fetchone()
    return "marts" if row and row["there"] else "next_marts"


def _validation(
    gx: Any, context: Any, sources: Any, table: str, expectations: Sequence[Expectation], *, published: str
) -> Any:
    schema, _, name = table.partition(".")
    asset = sources[schema].add_table_asset(table, table_name=name)
    batch = asset.add_batch_definition_whole_table("all")
    suite = context.suites.add(gx.ExpectationSuite(name=table))
    for kind, arguments in expectations:
        values = dict(arguments)
        if "unexpected_rows_query" in values:
            values["unexpected_rows_query"] = values["unexpected_rows_query"].replace(
                "{published}", published
            )
        suite.add_expectation(getattr(gx.expectations, kind)(**values))
    return context.validation_definitions.add(gx.ValidationDefinition(name=table, data=batch, suite=suite))


def _results(outcome: Any) -> list[tuple[str, Any]]:
    return [
        (identifier.expectation_suite_identifier.name, result)
        for identifier, run in outcome.run_results.items()
        for result in run.results
    ]


def _failure(table: str, result: Any) -> FailedExpectation:
    config = result.expectation_config
    rule = config.description or f"{config.type} {_shown_arguments(config.kwargs)}"
    details = result.result or {}
    rows = details.get("details", {}).get("unexpected_rows") or [
        {config.kwargs.get("column", "value"): value}
        for value in details.get("partial_unexpected_list") or []
    ]
    count = details.get("observed_value") or details.get("unexpected_count") or len(rows)
    if not rows and result.exception_info:
        rows = [{"error": str(result.exception_info)[:2000]}]
    name = f"{table.partition('.')[2]}: {rule}"
    return FailedExpectation(name, _count_of(count), [_row(row) for row in rows[:_SAMPLE_ROWS]])


def _shown_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "batch_id" and value is not None}


def _count_of(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 1


def _row(row: Any) -> dict[str, Any]:
    """A row for JSON: exact numbers and times become text, because JSON has neither."""
    return {str(name): _json_value(value) for name, value in row.items()}


def _json_value(value: Any) -> int | bool | str | None:
    if isinstance(value, int | bool | None):
        return value
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
