"""Publishing checked models, and exporting the month to the cold store."""

from datetime import date
from typing import Final

import structlog

from paceline.core.errors import ConflictError
from paceline.ports.warehouse import ColdStore, Cut, GateStore, ModelStore

_log = structlog.get_logger()
GATES: Final = frozenset({"dbt", "expectations", "parity"})

# The condition for a published table's rows of a month `[start, end)`. `true` exports the whole table, as
# it is at the month's last run.
COLD_TABLES: Final = {
    "fct_closed_trades": "closed_day >= %(start)s and closed_day < %(end)s",
    "fct_account_days": "day >= %(start)s and day < %(end)s",
    "dim_accounts": "true",
    "leaderboard": "true",
}


def publish(gates: GateStore, models: ModelStore, run_id: str, cut: Cut) -> None:
    """Publish the new models. `ConflictError` unless all gates passed in this run, on models of this cut."""
    if missing := sorted(GATES - gates.passed(run_id, cut.cut_id)):
        raise ConflictError(f"The gates {missing} have not passed in this run. Nothing is published.")
    if (built_at := models.cut_id()) != cut.cut_id:
        raise ConflictError(
            f"The models are built from cut {built_at}, not {cut.cut_id}: another run is active. "
            "Nothing is published."
        )
    models.publish(run_id, cut)
    _log.info("published", as_of_day=str(cut.as_of_day), provisional=cut.provisional, cut_id=cut.cut_id)


def export_month(cold: ColdStore, cut: Cut) -> dict[str, int]:
    """Replace the files of the cut's month and of the `as_of_day`'s month; returns the rows of each file."""
    rows: dict[str, int] = {}
    for first in sorted({cut.day.replace(day=1), cut.as_of_day.replace(day=1)}):
        start, end = first, date(first.year + first.month // 12, first.month % 12 + 1, 1)
        for table, where in COLD_TABLES.items():
            if where == "true" and (first.year, first.month) != (cut.as_of_day.year, cut.as_of_day.month):
                continue
            month = f"{first:%Y-%m}"
            rows[f"{table}/{month}"] = cold.export(table, month, where, {"start": start, "end": end})
    return rows
