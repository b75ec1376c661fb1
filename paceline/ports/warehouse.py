"""What the nightly run needs of the outside: cuts, metrics, gates, publication, cold store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal, Protocol

from msgspec import Struct

from paceline.core.pages import Page

Period = Literal["day", "week", "month", "all"]
Gate = Literal["dbt", "expectations", "parity"]


class ShardCut(Struct, frozen=True):
    """`position` is that of the copied snapshot: what lies before it is in the cut. `day_end_position` is the
    first position at or after the end of the cut's day."""

    shard: int
    position: int
    day_end_position: int
    log_time_us: int
    state_hash: str


class Cut(Struct, frozen=True):
    """A consistent state of all shards, taken for `day`.

    The marts tell of everything up to `as_of_day`: this day, or a newer one that is published already. That
    day ends at `as_of_end_us`, or, while it still runs (`provisional`), where the log was.
    """

    cut_id: int
    day: date
    as_of_day: date
    as_of_end_us: int
    provisional: bool
    shards: list[ShardCut]


class Standing(Struct, frozen=True):
    """How far the writer has come on `engine.out` of a shard."""

    next_position: int
    next_offset: int


class Failure(Struct, frozen=True):
    """An expectation that did not hold: how many rows broke it, and some of them, as JSON has it.

    Exact numbers are decimal strings without an exponent.
    """

    expectation: str
    rows_failed: int
    rows: list[dict[str, Any]]


class Published(Struct, frozen=True):
    cut_id: int
    day: date
    provisional: bool


class CutStore(Protocol):
    """`TransientError` when the store is away; so for all ports here."""

    def shards(self) -> int:
        """Number of shards of the installation; 0 before its first start."""

    def first_opened_us(self) -> int | None:
        """When the first account was opened, µs; None while there is none."""

    def published(self) -> Published | None:
        """The newest publication."""

    def copy_snapshots(self, day: date) -> tuple[int, list[ShardCut]]:
        """Copy each shard's newest whole snapshot under a new cut id, in one transaction."""

    def writer_standings(self) -> Mapping[int, Standing]: ...

    def finish(self, cut: Cut) -> Cut:
        """Fill in where the day ends on each shard and keep the cut; old copies of snapshots are let go."""

    def discard(self, cut_id: int) -> None:
        """Let go of a cut that is not finished, with its copies."""

    def chunks(self, cut_id: int, shard: int) -> list[bytes]:
        """The copied snapshot, as the engine put it out; none once it was let go."""


class LogEnds(Protocol):
    def __call__(self) -> Mapping[int, int]:
        """Per shard the offset after the last record of `engine.out`; `TransientError` if it cannot tell."""


class MetricStore(Protocol):
    def days_to_compute(self, cut: Cut) -> list[date]:
        """The cut's day, the day the marts tell of, and every earlier day that has no metrics yet."""

    def unmarked(self, cut: Cut, day: date) -> list[str]:
        """What is held at the end of the day but has no bar before it."""

    def compute(self, cut: Cut, day: date) -> int:
        """Write the metrics of all accounts at the end of the day; how many."""


class GateStore(Protocol):
    def record(self, run_id: str, gate: Gate, cut: Cut, summary: str, failures: Sequence[Failure]) -> None:
        """Keep what a gate said; with failures also an alert."""

    def passed(self, run_id: str, cut_id: int) -> set[str]:
        """The gates that this run has passed with this cut."""


class Models(Protocol):
    """The models that were built beside the published ones."""

    def prepare(self) -> None:
        """Clear away what an earlier run left."""

    def failed_tests(self) -> list[Failure]:
        """dbt's tests that found rows."""

    def cut_id(self) -> int | None:
        """The cut that the models say they were built at."""

    def balances(self, shard: int) -> Iterator[Mapping[str, Any]]: ...

    def open_trades(self, shard: int) -> Iterator[Mapping[str, Any]]: ...

    def publish(self, run_id: str, cut: Cut) -> None:
        """Put them in the place of the published ones, in one transaction."""


class Expectations(Protocol):
    def __call__(self) -> tuple[int, list[Failure]]:
        """Check the new models; how many expectations there were and which failed."""


class ColdStore(Protocol):
    def export(self, table: str, month: str, where: str, parameters: Mapping[str, Any]) -> int:
        """Put the rows of a published table into the month's Parquet file, in the place of the old one."""


class LeaderboardRow(Struct, frozen=True, kw_only=True):
    """One account in one period. `rank` is null while it has too few trades to be ranked."""

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
