"""Snapshots in Postgres: known chunks are reused and moved; chunks with unknown digests are stored again."""

from collections.abc import AsyncIterator, Callable

import pytest

from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.operations import installation, snapshots
from paceline.adapters.postgres.operations.snapshots import Digests, SnapshotHead, chunk_of
from tests.support.servers import as_role


@pytest.fixture
async def session(fresh_database: Callable[[], str]) -> AsyncIterator[WorkerConnection]:
    session = WorkerConnection(as_role(fresh_database(), "writer"), "test")
    await session.transaction(lambda c: installation.ensure_shards(c, 1))
    yield session
    await session.close()


async def store(session: WorkerConnection, position: int, texts: list[str], ours: Digests) -> Digests | None:
    head = SnapshotHead(0, position, position, 0, f"{position:064}", 1, "test")
    chunks = [chunk_of(f'"{text}"'.encode()) for text in texts]
    return await session.transaction(lambda c: snapshots.store(c, head, chunks, ours))


async def stored(session: WorkerConnection, position: int) -> list[str]:
    """The chunks of a snapshot, loaded as at a start of the engine."""
    heads = await session.transaction(lambda c: snapshots.list_whole(c, 0))
    generation = next(one.generation for one in heads if one.head.position == position)
    chunks = await session.transaction(lambda c: snapshots.load_chunks(c, 0, generation))
    return [chunk.decode().strip('"') for chunk in chunks]


async def overwrite_chunk(session: WorkerConnection, text: str) -> None:
    """Replace the data of a chunk in all generations."""
    await session.transaction(
        lambda c: c.execute(
            "update engine.snapshot_chunks set data = '\"rot\"' where data = %s", (f'"{text}"',)
        )
    )


async def test_only_new_chunks_are_stored_and_all_are_in_order(session: WorkerConnection) -> None:
    ours = await store(session, 1, ["head 1", "a", "b", "c"], {})
    assert ours is not None
    ours = await store(session, 2, ["head 2", "a", "b", "c"], ours)
    assert ours is not None
    await overwrite_chunk(session, "c")  # shows whether it is stored again
    ours = await store(session, 3, ["head 3", "b", "c", "d"], ours)
    assert await stored(session, 3) == ["head 3", "b", "rot", "d"]
    assert await stored(session, 2) == ["head 2", "a", "b", "rot"]
    assert ours is not None
    await store(session, 4, ["d", "head 4", "c", "b", "a"], ours)
    assert await stored(session, 4) == ["d", "head 4", "rot", "b", "a"]


async def test_a_generation_is_complete_without_the_other(session: WorkerConnection) -> None:
    ours = await store(session, 1, ["a", "b"], {})
    assert ours is not None
    await store(session, 2, ["a", "b"], ours)
    await session.transaction(
        lambda c: c.execute(
            "delete from engine.snapshot_chunks where generation = "
            "(select generation from engine.snapshots where position = 1)"
        )
    )
    assert await stored(session, 1) == []
    assert await stored(session, 2) == ["a", "b"]


async def test_a_new_process_stores_all_chunks(session: WorkerConnection) -> None:
    ours = await store(session, 1, ["a", "b"], {})
    assert ours is not None
    await store(session, 2, ["a", "b"], ours)
    await overwrite_chunk(session, "a")
    others = await store(session, 3, ["a", "b"], {})
    assert others is not None
    assert await stored(session, 3) == ["a", "b"]
    await store(session, 4, ["a", "b"], others)
    assert await stored(session, 4) == ["a", "b"]


async def test_a_snapshot_stored_by_another_process_gives_no_digests(session: WorkerConnection) -> None:
    await store(session, 1, ["a", "b"], {})
    assert await store(session, 1, ["a", "b"], {}) == {}
    assert await store(session, 0, ["a"], {}) is None
    assert await stored(session, 1) == ["a", "b"]
