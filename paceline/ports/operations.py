"""What operators read and change, and what the watchdog needs.

Markets and accounts are those up to the last effect that the writer has stored.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from typing import Literal, Protocol

from msgspec import Struct

from paceline.core.pages import Page
from paceline.domain.operations.archive import Manifest, Segment
from paceline.domain.operations.readers import Record
from paceline.domain.operations.watch import WatchProblem
from paceline.messages.inbound import AdminInstruction, UserInstruction
from paceline.ports.market import Market

Instruction = AdminInstruction | UserInstruction


class OperatorMarket(Market, frozen=True, kw_only=True):
    """A market with the fields for operators. It is configured on `shards` and halted on `halted_shards`.

    All shards agree, unless an instruction reached only some of them. Then the other fields are those of the
    first of `shards`.
    """

    max_price_age_us: int
    shards: list[int]
    halted_shards: list[int]


class OperatorAccount(Struct, frozen=True, kw_only=True):
    """An account of the engine with its last balance. The member's fields are null if it has no member."""

    account: str
    shard: int
    opened: int
    halted: bool
    cash: str
    margin: str
    locked: str
    open_trades: int
    email: str | None
    display_name: str | None
    role: str | None


class Alert(Struct, frozen=True, kw_only=True):
    """A problem that exists since `since`, µs; `times` counts how often it occurred."""

    key: str
    severity: Literal["info", "warning", "critical"]
    message: str
    since: int
    times: int


class OperatorStore(Protocol):
    """`TransientError` if the store is unavailable."""

    def markets(self) -> list[OperatorMarket]: ...

    def account(self, account: str) -> OperatorAccount | None: ...

    def account_of(self, email: str) -> str | None:
        """The account of the member with this email address; None if there is none."""
        ...

    def accounts(self, *, offset: int, limit: int) -> Page[OperatorAccount]:
        """Newest first."""
        ...

    def applied(self, instruction: str, account: str | None) -> Mapping[int, Instruction]:
        """The first instruction with this id that each shard's engine has read, by shard.

        `account` is the one that the instruction names, if any.
        """
        ...

    def set_role(self, email: str, role: str) -> bool:
        """Set the member's role; False if no member has this email address."""
        ...

    def open_alerts(self, limit: int) -> list[Alert]:
        """Most severe first, then oldest first."""
        ...


class StoredState(Struct, frozen=True):
    """What the watchdog reads from the database: the markets that are not halted, and the age of each
    shard's newest complete snapshot, in seconds; None for a shard that has none."""

    running_markets: frozenset[str]
    snapshot_ages_s: dict[int, float | None]


class AlertChanges(Struct, frozen=True):
    """The keys of the alerts that were opened and closed."""

    opened: list[str]
    recovered: list[str]


class WatchStore(Protocol):
    """The watchdog's side of the database. `TransientError` if it is unavailable."""

    async def state(self) -> StoredState: ...

    async def update_alerts(self, problems: Sequence[WatchProblem], kinds: Set[str]) -> AlertChanges:
        """Open an alert for each problem without one, and close the watchdog's open alerts of these kinds
        whose problem has ended, in one transaction. Alerts of other kinds stay as they are."""
        ...

    async def close(self) -> None: ...


class LiveSigns(Protocol):
    """What running services write every few seconds. `TransientError` if it cannot be read."""

    async def offsets(self, reader: str) -> dict[int, int]:
        """By shard the offset of the next record that the reader needs, from its heartbeats. Of several
        instances the highest counts."""
        ...

    async def price_times_us(self, symbols: Iterable[str]) -> dict[str, int | None]:
        """When the feed received the last price of each symbol; None for one without a price."""
        ...

    async def close(self) -> None: ...


class LogEndsByTopic(Protocol):
    async def ends(self) -> dict[str, dict[int, int]]:
        """The offset after the last record, by topic and shard. `TransientError` if Kafka is unavailable."""
        ...

    async def stop(self) -> None: ...


class SnapshotPlace(Struct, frozen=True):
    """A complete snapshot of the engine: the state after `position` messages, whose next record of
    `engine.in` is at `next_offset`."""

    generation: int
    position: int
    next_offset: int
    state_hash: str


class StoredProgress(Protocol):
    """How far the engine and the readers of a shard have come. `TransientError` if it cannot be read."""

    async def snapshots(self, shard: int) -> list[SnapshotPlace]:
        """The complete snapshots, newest first."""
        ...

    async def chunks(self, shard: int, generation: int) -> list[bytes]:
        """The chunks of a snapshot in order; empty if it was replaced."""
        ...

    async def reader_offsets(self, shard: int) -> Mapping[str, int]:
        """By reader the offset of the next record that it needs; readers that never started are missing."""
        ...


class ShardLog(Protocol):
    """The part of a shard's `engine.in` that is in Kafka."""

    async def begin(self) -> int:
        """The offset of the first record that is kept."""
        ...

    def records(self, begin: int, end: int) -> AsyncIterator[Record]:
        """The records with offsets `[begin, end)`, which must exist."""
        ...

    async def cut_before(self, offset: int) -> int:
        """Delete the records before `offset`; returns the new first offset."""
        ...


class ArchiveSegment(Protocol):
    """A segment that is being written."""

    @property
    def messages(self) -> int: ...

    def add(self, offset: int, lines: Iterable[bytes]) -> None:
        """Write the lines of the record at `offset`."""
        ...

    def close(self) -> Segment: ...

    def abandon(self) -> None:
        """Drop the unfinished segment."""
        ...


class ShardArchive(Protocol):
    """The archive of one shard. `InvariantViolation` if it is not what the manifest says."""

    @property
    def name(self) -> str:
        """Where it is, for a person."""
        ...

    def manifest(self) -> Manifest | None:
        """`None` if nothing is archived."""
        ...

    def begin(self, position: int, offset: int) -> ArchiveSegment: ...

    def add(self, manifest: Manifest, segment: Segment) -> Manifest:
        """Add a closed segment; returns the longer manifest."""
        ...

    def verify(self, manifest: Manifest) -> None:
        """Read all segments again."""
        ...
