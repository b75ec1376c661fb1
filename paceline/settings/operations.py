"""When the watchdog raises an alert."""

from dataclasses import dataclass

from paceline.settings.fields import between, setting


@dataclass(frozen=True, kw_only=True)
class OperationsSettings:
    watchdog_stuck_s: int = setting(
        "15", between(2, 3600), "Seconds without progress of a reader with records to read, before an alert"
    )
    watchdog_price_s: int = setting(
        "30", between(2, 86_400), "Seconds without a price of an open market, before an alert"
    )
    watchdog_snapshot_s: int = setting(
        "120",
        between(2, 86_400),
        "Age in seconds of a shard's snapshot that raises an alert; at least three intervals",
    )
