"""The daily metrics of each account. They are computed before the models are built."""

import structlog

from paceline.core.errors import TransientError
from paceline.ports.warehouse import Cut, MetricStore

_log = structlog.get_logger()


def compute_account_metrics(metrics: MetricStore, cut: Cut) -> None:
    """Write the metrics of the cut's day, of its `as_of_day`, and of earlier days without metrics.

    `TransientError` if a held symbol or asset has no bar: bars are stored with a delay.
    """
    for day in metrics.days_to_compute(cut):
        if unmarked := metrics.unmarked(cut, day):
            raise TransientError(
                f"{', '.join(unmarked)} must have a bar before the end of {day}, because accounts hold it. "
                "Check that `paceline stream bars` runs.",
                retry_after_s=10,
            )
        accounts = metrics.compute(cut, day)
        _log.info("account metrics", day=str(day), accounts=accounts, cut_id=cut.cut_id)
