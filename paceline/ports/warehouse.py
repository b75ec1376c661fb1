"""The stores that the nightly run uses: cuts, metrics, gates, publication, cold store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal, Protocol

from msgspec import Struct

from paceline.core.pages import Page

Period = Literal["day", "week", "month", "all"]
Gate = Literal["dbt", "expectations", "parity"]


class ShardCut(Struct, frozen=True):
    """`position` is that of the copied snapshot: earlier messages are in the cut. `day_end_position` is the
    first position at or after the end of the cut's day."""

    shard: int
    position: int
    day_end_position: int
    log_time_us: int
    state_hash: str


class Cut(Struct, frozen=True):
    """A consistent state of all shards, taken for `day`.

    The marts cover everything up to `as_of_day`: this day, or a newer day that is published already. That
    day ends at `as_of_end_us`; if it is not over (`provisional`), this is the log time of the cut.
    """

    cut_id: int
    day: date
    as_of_day: date
    as_of_end_us: int
    provisional: bool
    shards: list[ShardCut]


class WriterProgress(Struct, frozen=True):
    """The writer's next position and offset on `engine.out` of a shard."""

    next_position: int
    next_offset: int


class FailedExpectation(Struct, frozen=True):
    """A failed expectation: the number of rows that violate it, and some of them as JSON values.

    Exact numbers are decimal strings without an exponent.
    """

    expectation: str
    rows_failed: int
    rows: list[dict[str, Any]]


class Publication(Struct, frozen=True):
    cut_id: int
    day: date
    provisional: bool


class CutStore(Protocol):
    """`TransientError` if the store is unavailable. This holds for all ports here."""

    def shards(self) -> int:
        """Number of shards of the installation; 0 before its first start."""

    def first_opened_us(self) -> int | None:
        """When the first account was opened, µs; None if there are no accounts."""

    def published(self) -> Publication | None:
        """The newest publication."""

    def copy_snapshots(self, day: date) -> tuple[int, list[ShardCut]]:
        """Copy each shard's newest complete snapshot under a new cut id, in one transaction."""

    def writer_progress(self) -> Mapping[int, WriterProgress]: ...

    def bars_position(self) -> int:
        """Position of the next message of shard 0 that the reader of bars wants; 0 before its first start."""

    def finish(self, cut: Cut) -> Cut:
        """Set each shard's `day_end_position`, store the cut, and delete old copies of snapshots."""

    def discard(self, cut_id: int) -> None:
        """Delete an unfinished cut with its copies."""

    def chunks(self, cut_id: int, shard: int) -> list[bytes]:
        """The copied snapshot, as the engine wrote it; empty if it was deleted."""


class LogEnds(Protocol):
    def __call__(self) -> Mapping[int, int]:
        """The end offset of `engine.out`, per shard. `TransientError` if the log is unavailable."""


class MetricStore(Protocol):
    def days_to_compute(self, cut: Cut) -> list[date]:
        """The cut's day, its `as_of_day`, and every earlier day without metrics."""

    def unmarked(self, cut: Cut, day: date) -> list[str]:
        """The symbols and assets that are held at the end of the day but have no bar before it."""

    def compute(self, cut: Cut, day: date) -> int:
        """Write the metrics of all accounts at the end of the day; returns the number of accounts."""


class GateStore(Protocol):
    def record(
        self, run_id: str, gate: Gate, cut: Cut, summary: str, failures: Sequence[FailedExpectation]
    ) -> None:
        """Store the result of a gate; failures also raise an alert."""

    def passed(self, run_id: str, cut_id: int) -> set[str]:
        """The gates that passed in this run, with this cut."""


class ModelStore(Protocol):
    """The new models, built next to the published ones."""

    def prepare(self) -> None:
        """Delete what an earlier run left."""

    def failed_tests(self) -> list[FailedExpectation]:
        """dbt's tests that found rows."""

    def cut_id(self) -> int | None:
        """The id of the cut that the models were built from."""

    def balances(self, shard: int) -> Iterator[Mapping[str, Any]]: ...

    def open_trades(self, shard: int) -> Iterator[Mapping[str, Any]]: ...

    def publish(self, run_id: str, cut: Cut) -> None:
        """Replace the published models with the new ones, in one transaction."""


class ExpectationChecker(Protocol):
    def __call__(self) -> tuple[int, list[FailedExpectation]]:
        """Check the new models; returns the number of expectations and those that failed."""


class ColdStore(Protocol):
    def export(self, table: str, month: str, where: str, parameters: Mapping[str, Any]) -> int:
        """Replace the month's Parquet file with the matching rows of a published table; how many rows."""


class LeaderboardRow(Struct, frozen=True, kw_only=True):
    """One account in one period. `rank` is null while the account has too few trades."""

    rank: int | None
    account: str
    display_name: str
    profit_usd: str
    return_ratio: float | None
    win_rate: float | None
    profit_factor: float | None
    max_drawdown: float | None
    sharpe: float | None
    average_holding_s: float | None
    trades: int
    is_ranked: bool


class Leaderboard(Struct, frozen=True):
    rows: Page[LeaderboardRow]
    as_of_day: str | None
    provisional: bool | None


class Leaderboards(Protocol):
    def leaderboard(self, period: Period, *, offset: int, limit: int) -> Leaderboard | None:
        """`None` before the first publication."""
        ...
