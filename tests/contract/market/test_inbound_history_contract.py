"""What `InboundHistory` promises: a shard's messages in order, with position and offset, to the log's end."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from paceline.adapters.files.log_archive import LogArchive
from paceline.adapters.kafka.inbound_history import KafkaInboundHistory
from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.producer import EngineInWriter
from paceline.core.connections import KafkaConnection
from paceline.core.errors import PermanentError
from paceline.domain.operations.archive import Manifest
from paceline.domain.operations.readers import ReaderPosition
from paceline.messages.inbound import Deposit, Inbound
from paceline.messages.log_form import encode_messages
from paceline.ports.market import InboundHistory, LoggedMessages
from paceline.usecases.replay.export_log import lines_of_record
from tests.support.fakes.market.bars import FakeHistory
from tests.support.log_topics import fresh_topics

RECORDS: list[list[Inbound]] = [
    [Deposit(f"{record}-{n}", 1, "ada", 1) for n in range(1 + record % 3)] for record in range(9)
]
MESSAGES = [message for record in RECORDS for message in record]
CUT = 4
END = ReaderPosition(len(MESSAGES), len(RECORDS))


def place(offset: int) -> ReaderPosition:
    return ReaderPosition(sum(map(len, RECORDS[:offset])), offset)


def history(brokers: str, *places: ReaderPosition, archive: LogArchive | None = None) -> KafkaInboundHistory:
    async def known() -> Sequence[ReaderPosition]:
        return places

    return KafkaInboundHistory(KafkaConnection(brokers), 0, known, archive)


def archived(folder: Path, records: int) -> LogArchive:
    store = LogArchive(folder)
    writer = store.begin(0, 0)
    for offset, record in enumerate(RECORDS[:records]):
        writer.add(offset, lines_of_record(encode_messages(record)))
    store.add(Manifest(shard=0), writer.close())
    return store


@pytest.fixture
def brokers(kafka_bootstrap: str) -> str:
    asyncio.run(write(kafka_bootstrap))
    return kafka_bootstrap


async def write(brokers: str) -> None:
    await fresh_topics(brokers, 1)
    async with EngineInWriter(KafkaConnection(brokers)) as log:
        for record in RECORDS:
            await log.append(0, record)


@pytest.fixture(params=["fake", "kafka", "archive and kafka"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> InboundHistory:
    if request.param == "fake":
        return FakeHistory(*RECORDS)
    brokers = request.getfixturevalue("brokers")
    return history(brokers, archive=archived(tmp_path, 6) if request.param != "kafka" else None)


@pytest.fixture(params=["fake", "kafka"])
def cut(request: pytest.FixtureRequest) -> InboundHistory:
    if request.param == "fake":
        return FakeHistory(*RECORDS, cut=CUT)
    brokers = request.getfixturevalue("brokers")
    asyncio.run(cut_before(KafkaConnection(brokers), 0, CUT))
    return history(brokers, place(8), place(6))


async def read(subject: InboundHistory, start: ReaderPosition | None = None) -> list[LoggedMessages]:
    return [part async for part in subject.read(start)]


def check(parts: list[LoggedMessages], begin: ReaderPosition) -> None:
    """The messages follow each other from `begin` to the log's end."""
    position = begin.position
    for part in parts:
        assert part.position == position
        position += len(part.messages)
        assert part.next is None or part.next == place(part.next.offset)
        assert part.next is None or part.next.position == position
    assert [message for part in parts for message in part.messages] == MESSAGES[begin.position :]
    assert parts[-1].next == END


async def test_the_whole_log_comes_in_order(whole: InboundHistory) -> None:
    check(await read(whole), ReaderPosition(0, 0))


async def test_it_goes_on_where_it_is_asked_to(whole: InboundHistory) -> None:
    check(await read(whole, place(7)), place(7))
    [end] = await read(whole, END)
    assert (list(end.messages), end.next) == ([], END)


async def test_of_a_log_that_was_cut_what_is_left_comes_with_its_positions(cut: InboundHistory) -> None:
    check(await read(cut), place(CUT))


async def test_an_archive_and_what_is_left_are_the_whole_log(brokers: str, tmp_path: Path) -> None:
    await cut_before(KafkaConnection(brokers), 0, CUT)
    check(await read(history(brokers, archive=archived(tmp_path, CUT))), ReaderPosition(0, 0))


async def test_missing_messages_and_unknown_positions_are_refused(brokers: str, tmp_path: Path) -> None:
    await cut_before(KafkaConnection(brokers), 0, CUT)
    with pytest.raises(PermanentError, match="holds offsets 4 to 9, but 2 comes next"):
        await read(history(brokers, place(6), archive=archived(tmp_path, 2)))
    with pytest.raises(PermanentError, match="no snapshot says at which position"):
        await read(history(brokers, place(2)))
