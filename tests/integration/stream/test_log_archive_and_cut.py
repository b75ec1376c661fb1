"""The log into files and out of Kafka: what is left and what is archived give the live hash."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.producer import make_producer
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.cli import app
from paceline.core.errors import AppError, InvariantViolation, PermanentError
from paceline.messages.log_form import Undecodable, encode_messages
from paceline.settings import settings
from stream.engine.service import Engines
from tests.support.log_topics import fresh_topics
from tests.support.scenario_log import Day, day, scenario_messages


@pytest.fixture(scope="module")
def busy() -> Day:
    return day(scenario_messages(seed=3, length=600))


class World:
    """One shard: its log, its engine, and the `paceline` command."""

    def __init__(self, database: str, brokers: str, folder: Path) -> None:
        self.database = database
        self.brokers = brokers
        self.folder = folder

    def paceline(self, *arguments: str | Path, answer: str = "") -> Any:
        return CliRunner().invoke(app, [str(word) for word in arguments], input=answer)

    async def write(self, log: Day) -> None:
        producer = make_producer(self.brokers, "test")
        await producer.start()
        for message in log.messages:
            raw = b"\xc1 " + message.raw if isinstance(message, Undecodable) else encode_messages([message])
            await producer.send(ENGINE_IN, value=raw, partition=0)
        await producer.stop()

    async def run(self, *ends: int) -> str:
        """The engine up to each of these offsets, with a snapshot at each; its hash then."""
        engines = Engines(self.database, self.brokers, 1, 3600)
        try:
            await engines.start()
            async with scan(self.brokers, ENGINE_IN, 0) as log:
                shard = await engines.open(0, await log.bounds())
                for end in ends:
                    await shard.handle([record async for record in log.records(shard.next_offset, end)])
                    await shard.close()
            return shard._engine.state_hash()
        finally:
            await engines.stop()

    async def begin(self) -> int:
        async with scan(self.brokers, ENGINE_IN, 0) as log:
            return (await log.bounds()).begin


@pytest.fixture
def world(
    fresh_database: Callable[[], str], kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    made = World(fresh_database(), kafka_bootstrap, tmp_path)
    asyncio.run(fresh_topics(kafka_bootstrap, 1))
    values = {"POSTGRES_URL": made.database, "KAFKA_BOOTSTRAP": kafka_bootstrap, "ENGINE_SHARDS": "1"}
    for name, value in values.items():
        monkeypatch.setenv(f"PACELINE_{name}", value)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield made
    settings.cache_clear()


def test_archived_and_cut_it_is_still_all_there(world: World, busy: Day) -> None:
    total = len(busy.messages)
    asyncio.run(world.write(busy))
    asyncio.run(world.run(200, 350))
    folder = world.folder / "archive"

    first = world.paceline("log", "archive", folder, "--stretch", 70)
    assert first.exit_code == 0, first.output
    assert "200 messages archived, 200 in all, up to offset 199" in first.output
    manifest = LogArchive(folder / "shard-0").manifest()
    assert manifest is not None
    assert [s.last_position for s in manifest.stretches] == [69, 139, 199]
    assert asyncio.run(world.begin()) == 0

    asyncio.run(world.run(500))
    refused = world.paceline("log", "archive", folder, "--cut", answer="n\n")
    assert refused.exit_code == 1
    assert "150 messages archived, 350 in all" in refused.output
    assert asyncio.run(world.begin()) == 0
    done = world.paceline("log", "archive", folder, "--cut", "--yes")
    assert "the log begins at offset 350 now" in done.output, done.output
    assert asyncio.run(world.begin()) == 350
    assert "nothing to cut" in world.paceline("log", "archive", folder, "--cut", "--yes").output

    # The engine goes on from its snapshot, and archive + log give the very same state.
    live = asyncio.run(world.run(total))
    assert live == busy.engine.state_hash()
    whole = world.folder / "whole.jsonl"
    short = world.paceline("log", "export", whole)
    assert isinstance(short.exception, PermanentError)
    assert "Give the archive's folder with --archive" in str(short.exception)
    assert world.paceline("log", "export", whole, "--archive", folder).exit_code == 0
    assert json.loads(world.paceline("replay", whole, "--json").output)["state_hash"] == live


def test_an_archive_replays_as_the_log_did(world: World, busy: Day) -> None:
    asyncio.run(world.write(busy))
    live = asyncio.run(world.run(len(busy.messages)))
    folder = world.folder / "archive"
    assert world.paceline("log", "archive", folder, "--shard", 0).exit_code == 0
    replayed = world.paceline("replay", folder / "shard-0", "--json")
    assert json.loads(replayed.output)["state_hash"] == live
    [file] = folder.glob("*/*.gz")
    file.write_bytes(file.read_bytes()[:-20])
    assert isinstance(world.paceline("replay", folder / "shard-0").exception, InvariantViolation)


def test_nothing_is_cut_without_two_snapshots_and_a_whole_archive(world: World, busy: Day) -> None:
    asyncio.run(world.write(busy))
    folder = world.folder / "archive"
    none = world.paceline("log", "archive", folder, "--cut", "--yes")
    assert "0 messages archived" in none.output
    asyncio.run(world.run(200))
    one = world.paceline("log", "archive", folder, "--cut", "--yes")
    assert isinstance(one.exception, PermanentError)
    assert "must have two complete snapshots" in str(one.exception)
    asyncio.run(world.run(300))
    [file] = folder.glob("*/*.gz")
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert isinstance(
        world.paceline("log", "archive", folder, "--cut", "--yes").exception, InvariantViolation
    )
    assert asyncio.run(world.begin()) == 0


def test_what_was_cut_without_this_archive_is_told(world: World, busy: Day) -> None:
    asyncio.run(world.write(busy))
    asyncio.run(world.run(200, 300))
    assert asyncio.run(cut_before(world.brokers, 0, 150)) == 150
    missing = world.paceline("log", "archive", world.folder / "archive").exception
    assert isinstance(missing, AppError)
    assert "the log begins at 150" in str(missing)


def test_a_log_that_does_not_reach_back_to_the_older_snapshot_is_refused(world: World, busy: Day) -> None:
    asyncio.run(world.write(busy))
    asyncio.run(world.run(200, 300))
    assert asyncio.run(cut_before(world.brokers, 0, 201)) == 201
    with pytest.raises(PermanentError, match=r"position 200 continues at offset 200 .* begins at 201"):
        asyncio.run(world.run(400))
