"""Archiving and cutting the log: archive and remaining log together give the hash of the live engine."""

import asyncio
import json
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.adapters.postgres.market.bars import PostgresBars
from paceline.cli import app
from paceline.core.connections import KafkaConnection
from paceline.core.errors import AppError, InvariantViolation, PermanentError
from paceline.messages.log_form import Undecodable, encode_messages
from paceline.settings import settings
from stream.bars.service import BarsOpener
from stream.engine.service import EngineOpener
from tests.support.log_topics import fresh_topics
from tests.support.scenario_log import Day, day, scenario_messages
from tests.support.servers import as_role


@pytest.fixture(scope="module")
def busy() -> Day:
    return day(scenario_messages(seed=3, length=600))


class ShardSetup:
    """One shard with its log and engine, and the `paceline` command."""

    def __init__(self, database: str, brokers: str, folder: Path) -> None:
        self.database = database
        self.brokers = brokers
        self.folder = folder

    def paceline(self, *arguments: str | Path, answer: str = "") -> Any:
        return CliRunner().invoke(app, [str(word) for word in arguments], input=answer)

    async def write(self, log: Day) -> None:
        producer = make_producer(KafkaConnection(self.brokers), "test")
        await producer.start()
        for message in log.messages:
            raw = b"\xc1 " + message.raw if isinstance(message, Undecodable) else encode_messages([message])
            await producer.send(ENGINE_IN, value=raw, partition=0)
        await producer.stop()

    async def run(self, *ends: int) -> str:
        """Run the engine up to each of these offsets and take a snapshot at each; return the final hash."""
        engines = EngineOpener(as_role(self.database, "writer"), KafkaConnection(self.brokers), 1, 3600)
        try:
            await engines.start()
            async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
                shard = await engines.open(0, await log.bounds())
                for end in ends:
                    await shard.handle([record async for record in log.records(shard.next_offset, end)])
                    await shard.close()
            return shard._engine.state_hash()
        finally:
            await engines.stop()

    async def read_bars(self, end: int | None = None) -> None:
        """The reader of bars up to this offset, or to the log's end."""
        bars = BarsOpener(PostgresBars(as_role(self.database, "writer")))
        try:
            async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
                bounds = await log.bounds()
                shard = await bars.open(0, bounds)
                end = bounds.end if end is None else end
                await shard.handle([record async for record in log.records(shard.next_offset, end)])
                await shard.close()
        finally:
            await bars.stop()

    async def begin(self) -> int:
        async with scan(KafkaConnection(self.brokers), ENGINE_IN, 0) as log:
            return (await log.bounds()).begin


@pytest.fixture
def installation(
    fresh_database: Callable[[], str], kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ShardSetup]:
    made = ShardSetup(fresh_database(), kafka_bootstrap, tmp_path)
    asyncio.run(fresh_topics(kafka_bootstrap, 1))
    values = {
        "WRITER_DATABASE_URL": as_role(made.database, "writer"),
        "API_DATABASE_URL": as_role(made.database, "api"),  # it stores the security event
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "ENGINE_SHARDS": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"PACELINE_{name}", value)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield made
    settings.cache_clear()


def test_archive_and_cut_log_give_the_same_state(installation: ShardSetup, busy: Day) -> None:
    total = len(busy.messages)
    asyncio.run(installation.write(busy))
    asyncio.run(installation.run(200, 350))
    folder = installation.folder / "archive"

    first = installation.paceline("log", "archive", folder, "--segment", 70)
    assert first.exit_code == 0, first.output
    assert "200 messages archived, 200 in all, up to offset 199" in first.output
    manifest = LogArchive(folder / "shard-0").manifest()
    assert manifest is not None
    assert [s.last_position for s in manifest.segments] == [69, 139, 199]
    assert asyncio.run(installation.begin()) == 0

    asyncio.run(installation.run(500))
    asyncio.run(installation.read_bars())
    refused = installation.paceline("log", "archive", folder, "--cut", answer="n\n")
    assert refused.exit_code == 1
    assert "150 messages archived, 350 in all" in refused.output
    assert asyncio.run(installation.begin()) == 0
    done = installation.paceline("log", "archive", folder, "--cut", "--yes")
    assert "the log begins at offset 350 now" in done.output, done.output
    assert asyncio.run(installation.begin()) == 350
    assert "security_event" not in done.output
    with psycopg.connect(installation.database) as connection:
        acts = connection.execute("select actor, details from ops.security_events").fetchall()
    details = {"act": "cut_log", "about": "shard 0", "offset": "350"}
    assert acts == [(f"cli:{pwd.getpwuid(os.getuid()).pw_name}", details)]
    assert "nothing to cut" in installation.paceline("log", "archive", folder, "--cut", "--yes").output

    # The engine continues from its snapshot; archive and log give the same state.
    live = asyncio.run(installation.run(total))
    assert live == busy.engine.state_hash()
    whole = installation.folder / "whole.jsonl"
    short = installation.paceline("log", "export", whole)
    assert isinstance(short.exception, PermanentError)
    assert "Give the archive's folder with --archive" in str(short.exception)
    assert installation.paceline("log", "export", whole, "--archive", folder).exit_code == 0
    assert json.loads(installation.paceline("replay", whole, "--json").output)["state_hash"] == live


def test_an_archive_replays_to_the_hash_of_the_log(installation: ShardSetup, busy: Day) -> None:
    asyncio.run(installation.write(busy))
    live = asyncio.run(installation.run(len(busy.messages)))
    folder = installation.folder / "archive"
    assert installation.paceline("log", "archive", folder, "--shard", 0).exit_code == 0
    replayed = installation.paceline("replay", folder / "shard-0", "--json")
    assert json.loads(replayed.output)["state_hash"] == live
    [file] = folder.glob("*/*.gz")
    file.write_bytes(file.read_bytes()[:-20])
    assert isinstance(installation.paceline("replay", folder / "shard-0").exception, InvariantViolation)


def test_a_cut_requires_two_snapshots_and_an_intact_archive(installation: ShardSetup, busy: Day) -> None:
    asyncio.run(installation.write(busy))
    folder = installation.folder / "archive"
    none = installation.paceline("log", "archive", folder, "--cut", "--yes")
    assert "0 messages archived" in none.output
    asyncio.run(installation.run(200))
    one = installation.paceline("log", "archive", folder, "--cut", "--yes")
    assert isinstance(one.exception, PermanentError)
    assert "must have two complete snapshots" in str(one.exception)
    asyncio.run(installation.run(300))
    asyncio.run(installation.read_bars())
    [file] = folder.glob("*/*.gz")
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert isinstance(
        installation.paceline("log", "archive", folder, "--cut", "--yes").exception, InvariantViolation
    )
    assert asyncio.run(installation.begin()) == 0


def test_an_archive_that_misses_cut_messages_is_refused(installation: ShardSetup, busy: Day) -> None:
    asyncio.run(installation.write(busy))
    asyncio.run(installation.run(200, 300))
    assert asyncio.run(cut_before(KafkaConnection(installation.brokers), 0, 150)) == 150
    missing = installation.paceline("log", "archive", installation.folder / "archive").exception
    assert isinstance(missing, AppError)
    assert "the log begins at 150" in str(missing)


def test_a_log_that_does_not_reach_back_to_the_older_snapshot_is_refused(
    installation: ShardSetup, busy: Day
) -> None:
    asyncio.run(installation.write(busy))
    asyncio.run(installation.run(200, 300))
    assert asyncio.run(cut_before(KafkaConnection(installation.brokers), 0, 201)) == 201
    with pytest.raises(PermanentError, match=r"position 200 continues at offset 200 .* begins at 201"):
        asyncio.run(installation.run(400))


def test_what_a_reader_has_not_read_is_not_cut(installation: ShardSetup, busy: Day) -> None:
    asyncio.run(installation.write(busy))
    asyncio.run(installation.run(200, 350))
    folder = installation.folder / "archive"

    def cut() -> Any:
        return installation.paceline("log", "archive", folder, "--cut", "--yes")

    before = cut().exception
    assert isinstance(before, PermanentError)
    assert "The reader of bars must read shard 0 before it is cut." in str(before)
    asyncio.run(installation.read_bars(end=130))
    assert "begins at offset 130 now" in cut().output
    assert "nothing to cut" in cut().output
    asyncio.run(installation.read_bars(end=300))  # it continues where the log begins now
    assert "begins at offset 200 now" in cut().output
