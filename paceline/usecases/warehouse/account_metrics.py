"""What each account is worth at the end of a day, before the models are built."""

import structlog

from paceline.core.errors import TransientError
from paceline.ports.warehouse import Cut, MetricStore

_log = structlog.get_logger()


def compute_account_metrics(metrics: MetricStore, cut: Cut) -> None:
    """Write the metrics of the cut's day, of the day the marts tell of, and of days that were missed.

    `TransientError` where something is held that has no price in the bars: the feed writes them with a delay.
    """
    for day in metrics.days_to_compute(cut):
        if unmarked := metrics.unmarked(cut, day):
            raise TransientError(
                f"No bar before the end of {day} for {', '.join(unmarked)}, which accounts hold: "
                "does the feed write bars?",
                retry_after_s=10,
            )
        accounts = metrics.compute(cut, day)
        _log.info("account metrics", day=str(day), accounts=accounts, cut_id=cut.cut_id)
