"""Every client of Kafka signs in and encrypts as the settings say, and refuses what they do not allow."""

import asyncio
import gc
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.kafka.log_cut import cut_before
from paceline.adapters.kafka.log_ends import KafkaLogEnds, LogEndReader
from paceline.adapters.kafka.log_reader import LogReader
from paceline.adapters.kafka.log_scan import scan
from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.kafka.topics import ENGINE_IN, ensure_topics
from paceline.core.connections import KafkaConnection
from paceline.core.errors import TransientError
from paceline.core.secret import Secret
from paceline.local.processes.ports import free_port
from paceline.local.servers import server
from paceline.messages.inbound import Deposit
from paceline.messages.log_form import decode_messages
from paceline.settings import Settings, load
from stream.runtime.app import build_app
from tests.support.certificates import Authority
from tests.support.secured_kafka import PASSWORD, USER, SecuredKafka

# aiokafka closes a TLS connection without waiting for its end, and `asyncio.run` ends before.
_UNFINISHED = "ignore:Exception ignored in. <{}:pytest.PytestUnraisableExceptionWarning"
pytestmark = [
    pytest.mark.filterwarnings(_UNFINISHED.format("function _SelectorTransport")),
    pytest.mark.filterwarnings(_UNFINISHED.format("socket.socket")),
    pytest.mark.usefixtures("collected"),
]

WAYS = ["SSL", "SASL_PLAINTEXT PLAIN", "SASL_SSL PLAIN", "SASL_SSL SCRAM-SHA-256", "SASL_SSL SCRAM-SHA-512"]


@pytest.fixture
def collected() -> Iterator[None]:
    """Unfinished connections are collected here, not in the next test."""
    yield
    gc.collect()


class Secured:
    """The broker and the files that its clients need."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, "authority")
        self.other = Authority(folder, "other")
        self.client = self.authority.issue("client")
        self.kafka = SecuredKafka(
            folder / "kafka",
            free_port(),
            controller_port=free_port(),
            certificate=self.authority.issue("localhost"),
            ca_file=self.authority.ca_file,
        )

    def settings(self, way: str, folder: Path) -> Settings:
        protocol, _, mechanism = way.partition(" ")
        found = {"BOOTSTRAP": self.kafka.address(protocol), "SECURITY_PROTOCOL": protocol}
        if mechanism:
            found |= {"SASL_MECHANISM": mechanism, "SASL_USERNAME": USER, "SASL_PASSWORD": PASSWORD}
        else:
            found |= {"SSL_CERTIFICATE_FILE": str(self.client), "SSL_KEY_FILE": str(self.client)}
        if protocol.endswith("SSL"):
            found["SSL_CA_FILE"] = str(self.authority.ca_file)
        environment = {f"PACELINE_KAFKA_{name}": value for name, value in found.items()}
        return load(environment | {"PACELINE_VAR_DIR": str(folder / "var")}, folder)


@pytest.fixture(scope="module")
def secured(servers_folder: Path) -> Iterator[Secured]:
    folder = servers_folder / "secured"
    folder.mkdir()
    made = Secured(folder)
    [running] = server.start(made.kafka)
    try:
        asyncio.run(ensure_topics(KafkaConnection(made.kafka.url), 1))
        yield made
    finally:
        running.stop()


def deposit(name: str) -> Deposit:
    return Deposit(f"{name}-{uuid4().hex}", 1, "an-account", 1)


async def ids_from(kafka: KafkaConnection, offset: int) -> list[str]:
    async with scan(kafka, ENGINE_IN, 0) as log:
        bounds = await log.bounds()
        found: list[Any] = []
        async for record in log.records(offset, bounds.end):
            found += decode_messages(record.value)
        return [one.id for one in found]


async def read_by_group(kafka: KafkaConnection, offset: int) -> bytes:
    """The record at an offset, read as the stream services read."""
    reader = LogReader(kafka, ENGINE_IN, f"test-{uuid4().hex}")
    await reader.start()
    try:
        async with asyncio.timeout(30):
            while not reader.assigned():
                await reader.read(100, 10)
            reader.assignment_changed()
            reader.seek(0, offset)
            while not (found := await reader.read(100, 10)):
                pass
    finally:
        await reader.stop()
    return found[0][0].value


async def write_by_command(kafka: KafkaConnection, message: Deposit) -> int:
    async with EngineInWriter(kafka) as log:
        return await log.append(0, [message])


async def ends(kafka: KafkaConnection) -> dict[str, dict[int, int]]:
    reader = LogEndReader(kafka, 1)
    try:
        return await reader.ends()
    finally:
        await reader.stop()


async def start_faust(settings: Settings) -> None:
    """Start and stop the producer that the Faust app connects with."""
    producer = build_app(["feed"], settings).producer
    try:
        await producer.start()
    finally:
        await producer.stop()


@pytest.mark.parametrize("way", WAYS)
def test_every_client_connects(secured: Secured, tmp_path: Path, way: str) -> None:
    settings = secured.settings(way, tmp_path)
    kafka = settings.kafka
    assert asyncio.run(ensure_topics(kafka, 1)) == []
    command, request = deposit("command"), deposit("request")
    offset = asyncio.run(write_by_command(kafka, command))
    log = KafkaInstructionLog(kafka)
    log.append(request, 0)
    log.close()
    assert asyncio.run(ids_from(kafka, offset)) == [command.id, request.id]
    assert command.id.encode() in asyncio.run(read_by_group(kafka, offset))
    assert asyncio.run(ends(kafka))[ENGINE_IN] == {0: offset + 2}
    assert KafkaLogEnds(kafka, 1)() == {0: 0}
    asyncio.run(start_faust(settings))
    assert asyncio.run(cut_before(kafka, 0, offset)) == offset


def wrong(secured: Secured, folder: Path, what: str) -> Settings:
    """Settings with a wrong password, or an authority that has not signed the broker's certificate."""
    settings = secured.settings("SASL_SSL SCRAM-SHA-512", folder)
    if what == "wrong password":
        return replace(settings, kafka_sasl_password=Secret("wrong-password"))
    return replace(settings, kafka_ssl_ca_file=str(secured.other.ca_file))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("wrong password", "Authentication failed"),
        ("wrong authority", "certificate"),
    ],
)
def test_every_client_is_refused_with_the_reason(
    secured: Secured, tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str, why: str
) -> None:
    settings = wrong(secured, tmp_path, what)
    kafka = settings.kafka
    caplog.set_level(logging.WARNING)

    def assert_reason(client: str) -> None:
        assert why.lower() in caplog.text.lower(), f"{client}: {caplog.text}"
        assert "wrong-password" not in caplog.text
        caplog.clear()

    coroutines = {
        "admin": lambda: ensure_topics(kafka, 1),
        "producer": lambda: write_by_command(kafka, deposit("never")),
        "scan": lambda: ids_from(kafka, 0),
        "ends": lambda: ends(kafka),
        "cut": lambda: cut_before(kafka, 0, 0),
        "faust": lambda: start_faust(settings),
    }
    for client, attempt in coroutines.items():
        with pytest.raises((KafkaError, TransientError)):
            asyncio.run(attempt())
        assert_reason(client)
    with pytest.raises(TransientError):
        KafkaLogEnds(kafka, 1)()
    assert_reason("log ends")
    with pytest.raises(KafkaException):
        asyncio.run(read_by_group(kafka, 0))
    assert_reason("log reader")
    log = KafkaInstructionLog(kafka, timeout_ms=1_000)
    with pytest.raises(TransientError):
        log.append(deposit("never"), 0)
    time.sleep(1)  # the poll that reports why
    log.close()
    assert_reason("instruction log")


def test_a_client_without_the_certificate_that_the_broker_asks_for_is_refused(
    secured: Secured, tmp_path: Path
) -> None:
    settings = secured.settings("SSL", tmp_path)
    kafka = replace(settings, kafka_ssl_certificate_file="", kafka_ssl_key_file="").kafka
    with pytest.raises(KafkaError):
        asyncio.run(write_by_command(kafka, deposit("never")))
