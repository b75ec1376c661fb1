"""The nightly run and its leaderboards."""

from dataclasses import dataclass

from paceline.settings.fields import between, setting


@dataclass(frozen=True, kw_only=True)
class WarehouseSettings:
    leaderboard_minimum_trades: int = setting(
        "3", between(1, 10_000), "Closed trades that an account needs in a period to be ranked"
    )
