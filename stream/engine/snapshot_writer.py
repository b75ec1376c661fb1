"""Stores a shard's snapshots and dead letters in Postgres, in the background of the engine's work."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

import paceline
from paceline.adapters.postgres.connections.connect import Connection
from paceline.adapters.postgres.connections.unavailable import UNAVAILABLE_ERRORS
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import alerts, dead_letters, snapshots
from paceline.adapters.postgres.operations.dead_letters import DeadLetter
from paceline.adapters.postgres.operations.snapshots import Chunk, Digests, SnapshotHead, chunk_of
from paceline.core.errors import InvariantViolation
from paceline.engine.snapshot import SCHEMA_VERSION, SnapshotCapture

_log = structlog.get_logger()

_MAX_LETTERS: Final = 1_000
_MAX_LETTER_AGE_S: Final = 1.0
_ALERT_WITHIN_S: Final = 5.0


class SnapshotWriter:
    """Stores captures and dead letters of a shard. Without Postgres the engine goes on without snapshots."""

    def __init__(self, shard: int, session: WorkerConnection, interval_s: float, first_s: float) -> None:
        self._shard = shard
        self._session = session
        self._interval_s = interval_s
        self._due_at = time.monotonic() + first_s
        self._task: asyncio.Task[None] | None = None
        self._own_digests: Digests = {}
        self._letters: list[DeadLetter] = []
        self._letters_since = 0.0
        self.stored: SnapshotHead | None = None
        self._stored_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        return self._task is None and time.monotonic() >= self._due_at

    @property
    def age_s(self) -> float:
        """Seconds since the last snapshot, or since this shard was opened."""
        return time.monotonic() - self._stored_at

    def begin(
        self, capture: SnapshotCapture, next_offset: int, acknowledged: Callable[[], Awaitable[None]]
    ) -> None:
        """Store a capture in the background, once `acknowledged` returns: its outputs are on the log then."""
        self._due_at = time.monotonic() + self._interval_s
        self._task = asyncio.create_task(self._snapshot(capture, next_offset, acknowledged))

    async def add_letter(self, letter: DeadLetter) -> None:
        if not self._letters:
            self._letters_since = time.monotonic()
        self._letters.append(letter)
        if len(self._letters) >= _MAX_LETTERS:
            await self._flush_letters()

    async def tick(self) -> None:
        """Store waiting dead letters in time; raises what a finished snapshot raised."""
        if self._task is not None and self._task.done():
            finished, self._task = self._task, None
            finished.result()
        if (
            self._letters
            and self._task is None
            and time.monotonic() - self._letters_since >= _MAX_LETTER_AGE_S
        ):
            self._task = asyncio.create_task(self._try_flush_letters())

    async def finish(self) -> None:
        """Wait for the snapshot or dead letters under way."""
        if self._task is not None:
            unfinished, self._task = self._task, None
            await unfinished

    async def _snapshot(
        self, capture: SnapshotCapture, next_offset: int, acknowledged: Callable[[], Awaitable[None]]
    ) -> None:
        chunks: list[Chunk] = []
        try:
            for data in capture.slices():
                chunks.append(chunk_of(data))
                await asyncio.sleep(0)  # the engine works between two slices
        except InvariantViolation as error:
            await self._alert_broken_ledger(error.message)
            raise
        await acknowledged()
        head = SnapshotHead(
            shard=self._shard,
            position=capture.position,
            next_offset=next_offset,
            log_time_us=capture.log_time,
            state_hash=capture.hash,
            schema_version=SCHEMA_VERSION,
            code_version=paceline.__version__,
        )
        try:
            # A snapshot is stored only after all dead letters before it.
            await self._flush_letters()
            own_digests = await self._session.transaction(lambda c: self._store(c, head, chunks))
        except UNAVAILABLE_ERRORS as error:
            _log.error("snapshot not stored", shard=self._shard, error=str(error).strip()[:300])
            return
        if own_digests is None:
            _log.warning("a newer snapshot is stored", shard=self._shard, position=head.position)
            return
        self._own_digests = own_digests
        self.stored = head
        self._stored_at = time.monotonic()

    async def _store(
        self, connection: Connection, head: SnapshotHead, chunks: Sequence[Chunk]
    ) -> Digests | None:
        """Store the snapshot and close the ledger's alert: the ledger was balanced when it was captured."""
        await alerts.recover(connection, f"ledger:{self._shard}")
        return await snapshots.store(connection, head, chunks, self._own_digests)

    async def _alert_broken_ledger(self, why: str) -> None:
        """Open an alert, if Postgres is available; the shard stops in any case."""
        text = f"The ledger of shard {self._shard} is not balanced, so the shard has stopped: {why}"

        async def work(connection: Connection) -> None:
            key = f"ledger:{self._shard}"
            await alerts.open_alert(
                connection, key, severity="critical", source="engine", message=text[:2000]
            )

        try:
            async with asyncio.timeout(_ALERT_WITHIN_S):
                await self._session.transaction(work)
        except (TimeoutError, *UNAVAILABLE_ERRORS) as error:
            _log.error("alert not stored", shard=self._shard, message=text, error=str(error).strip()[:300])

    async def _flush_letters(self) -> None:
        stored = await self._session.transaction(self._store_letters)
        del self._letters[:stored]

    async def _try_flush_letters(self) -> None:
        try:
            await self._flush_letters()
        except UNAVAILABLE_ERRORS as error:
            _log.error("dead letters not stored", shard=self._shard, error=str(error).strip()[:300])

    async def _store_letters(self, connection: Connection) -> int:
        """Store the held letters and return how many; storing one twice is safe."""
        letters = self._letters[:]
        if letters:
            await dead_letters.store(connection, "engine.in", letters)
        return len(letters)
