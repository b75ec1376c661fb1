"""Kafka from its classes prepared ahead of time."""

from pathlib import Path

import psutil
import pytest

from paceline.local.processes.ports import free_port
from paceline.local.servers import kafka, kafka_cache, server
from paceline.local.servers.kafka import LocalKafka


def _kafka(folder: Path) -> LocalKafka:
    return LocalKafka(folder / "kafka", free_port(), controller_port=free_port())


def _mapped(pid: int) -> set[str]:
    """Files that a process has in its memory."""
    return {part.path for part in psutil.Process(pid).memory_maps()}


def test_the_installed_cache_is_used(server_folder: Path) -> None:
    assert kafka_cache.install() is None  # there since the installation, else made now
    running = server.start(_kafka(server_folder))
    try:
        assert str(kafka.cache()) in _mapped(running[0].pid)
    finally:
        server.stop(running)


def test_a_cache_that_java_refuses_only_costs_time(
    server_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = tmp_path / "spoilt.aot"
    spoilt.write_bytes(b"nothing that Java knows" * 1000)
    monkeypatch.setattr(kafka, "cache", lambda: spoilt)
    running = server.start(_kafka(server_folder))
    try:
        assert running[0].server.is_ready()
        assert str(spoilt) not in _mapped(running[0].pid)
    finally:
        server.stop(running)


def test_why_there_is_no_cache_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "cache", lambda: tmp_path / "new.aot")
    monkeypatch.setattr(LocalKafka, "command", lambda _: ["sh", "-c", "echo no memory for a heap; exit 1"])
    assert kafka_cache.install() == "kafka does not start: no memory for a heap"
    assert list(tmp_path.iterdir()) == []
