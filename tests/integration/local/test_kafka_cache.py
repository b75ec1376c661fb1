"""Kafka with its ahead-of-time class cache."""

from pathlib import Path

import psutil
import pytest

from paceline.local.processes.ports import free_port
from paceline.local.servers import kafka, kafka_cache, server
from paceline.local.servers.kafka import LocalKafka


def _kafka(folder: Path) -> LocalKafka:
    return LocalKafka(folder / "kafka", free_port(), controller_port=free_port())


def _mapped_files(pid: int) -> set[str]:
    """The files that a process has mapped into memory."""
    return {part.path for part in psutil.Process(pid).memory_maps()}


def test_the_installed_cache_is_used(server_folder: Path) -> None:
    assert kafka_cache.install() is None  # made by the installation, otherwise now
    running = server.start(_kafka(server_folder))
    try:
        assert str(kafka.cache()) in _mapped_files(running[0].pid)
    finally:
        server.stop(running)


def test_kafka_starts_without_a_cache_that_java_rejects(
    server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalid = tmp_path / "invalid.aot"
    invalid.write_bytes(b"not a Java cache" * 1000)
    monkeypatch.setattr(kafka, "cache", lambda: invalid)
    running = server.start(_kafka(server_folder))
    try:
        assert running[0].server.is_ready()
        assert str(invalid) not in _mapped_files(running[0].pid)
    finally:
        server.stop(running)


def test_a_failed_cache_build_returns_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "cache", lambda: tmp_path / "new.aot")
    monkeypatch.setattr(LocalKafka, "command", lambda _: ["sh", "-c", "echo no memory for a heap; exit 1"])
    assert kafka_cache.install() == "kafka does not start: no memory for a heap"
    assert list(tmp_path.iterdir()) == []
