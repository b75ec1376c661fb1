"""Passes the records of an engine to the real writer and router, without Kafka."""

import asyncio
from collections.abc import Sequence

from stream.router.service import RouterOpener, RouterShard
from stream.runtime.log_service import ReopenShard
from stream.writer.service import WriterOpener
from tests.support.scenario_log import Day, LogRecord, bounds_of
from tests.support.servers import as_role


async def write(url: str, records: Sequence[LogRecord], end: int, *, shard: int = 0, shards: int = 1) -> None:
    """Let the writer store the records up to `end` (exclusive) in the database."""
    writer = WriterOpener(as_role(url, "writer"), shards)
    opened = await writer.open(shard, bounds_of(records))
    if opened.next_offset < end:
        await opened.handle(list(records[opened.next_offset : end]))
        await opened.tick()
    await writer.stop()


def write_days(url: str, *days: Day) -> None:
    """Store one day for each shard, starting with shard 0."""
    for shard, one in enumerate(days):
        records = one.records(1)
        asyncio.run(write(url, records, len(records), shard=shard, shards=len(days)))


async def route(
    router: RouterOpener, records: list[LogRecord], end: int | None = None, step: int = 4
) -> RouterShard:
    """Pass records to a router shard as the service does: in small batches, reopened on `Reopen`."""
    end = len(records) if end is None else end
    shard = await router.open(0, bounds_of(records))
    while (at := shard.next_offset) < end:
        try:
            await shard.handle(records[at : min(at + step, end)])
        except ReopenShard:
            shard = await router.open(0, bounds_of(records))
    await shard.tick()
    await shard.close()
    return shard
