"""Recovers a shard's engine: from the newest valid snapshot, else the one before, else the log."""

import gc

import structlog
from msgspec import Struct

from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import alerts, snapshots
from paceline.adapters.postgres.operations.snapshots import SnapshotHead, StoredSnapshot
from paceline.core.errors import InvariantViolation, PermanentError
from paceline.domain.operations.readers import OffsetRange
from paceline.engine import Engine

_log = structlog.get_logger()


class Recovered(Struct):
    engine: Engine
    next_offset: int
    hash: str | None


async def recover(session: WorkerConnection, shard: int, bounds: OffsetRange) -> Recovered:
    """The engine as of its newest valid snapshot; `PermanentError` if the log does not continue there."""
    stored = await session.transaction(lambda c: snapshots.list_whole(c, shard))
    for one in stored:
        # The older one too: it is needed if the newer is not valid.
        _check_reach(shard, one.head, bounds)
    for one in stored:
        try:
            engine = await session.transaction(lambda c, one=one: _load(c, one))  # type: ignore[misc]
        except InvariantViolation as error:
            await session.transaction(lambda c, one=one, error=error: _alert_skipped(c, one, error))  # type: ignore[misc]
            continue
        # Loaded objects stay: the garbage collector need not look at them again.
        gc.collect()
        gc.freeze()
        return Recovered(engine, one.head.next_offset, one.head.state_hash)
    if bounds.begin != 0:
        raise PermanentError(
            f"Shard {shard} has no snapshot that can be read, and its log begins at offset {bounds.begin}, "
            "not at 0: the state cannot be rebuilt. Restore a snapshot, or the start of the log."
        )
    return Recovered(Engine(shard=shard), 0, None)


async def _load(connection: Connection, stored: StoredSnapshot) -> Engine:
    """`InvariantViolation` if the snapshot differs from its head."""
    head = stored.head
    engine = Engine.load(await snapshots.load_chunks(connection, head.shard, stored.generation))
    found = engine.state_hash()
    if (found, engine.position) != (head.state_hash, head.position):
        raise InvariantViolation(
            f"its head has position {head.position} and hash {head.state_hash}, "
            f"its data position {engine.position} and hash {found}"
        )
    return engine


async def _alert_skipped(connection: Connection, stored: StoredSnapshot, error: InvariantViolation) -> None:
    head = stored.head
    message = f"Snapshot of shard {head.shard} at position {head.position} cannot be used: {error}"
    _log.error("snapshot skipped", shard=head.shard, position=head.position, why=str(error))
    await alerts.raise_alert(
        connection, "critical", "engine", message[:2000], {"shard": head.shard, "position": head.position}
    )


def _check_reach(shard: int, head: SnapshotHead, bounds: OffsetRange) -> None:
    offset = head.next_offset
    if offset < bounds.begin:
        raise PermanentError(
            f"Shard {shard}: the snapshot at position {head.position} continues at offset {offset} of "
            f"engine.in, but the log begins at {bounds.begin}: the records between were cut from the log."
        )
    if offset > bounds.end:
        raise PermanentError(
            f"Shard {shard}: the snapshot at position {head.position} continues at offset {offset} of "
            f"engine.in, but the log ends at {bounds.end}: the log has lost records, or it is not the log "
            "of this database."
        )
