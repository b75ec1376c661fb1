"""The common part of the local Postgres, Redis and Kafka, and how to start several of them at once."""

import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from paceline.core.errors import AppError
from paceline.local.processes import ports, process


class ServerFailed(AppError):
    """A server of the local stack cannot run; the message says what a person can do."""

    default_code = "SERVER_FAILED"


@dataclass
class LocalServer(ABC):
    """A server that keeps its data in `folder` and listens on loopback at `port`.

    Order: `prepare` (makes what is missing in the folder; may be repeated) → the process of `command` →
    `is_ready` → `settle` (set-up that needs the running server; may be repeated).
    """

    folder: Path
    port: int

    name = "server"
    stop_signal = signal.SIGTERM

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect."""

    @abstractmethod
    def prepare(self) -> None: ...

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_ready(self) -> bool: ...

    def settle(self) -> None:
        """Most servers need no set-up once they run."""
        return

    @property
    def ports(self) -> dict[str, int]:
        """Setting → port, for all ports it listens on."""
        return {f"{self.name}_port": self.port}

    @property
    def user(self) -> str | None:
        """The user it runs as; None: ours."""
        return None

    @property
    def log_file(self) -> Path:
        return self.folder / f"{self.name}.log"


@dataclass(frozen=True)
class RunningServer:
    """A running server; `stop` ends it cleanly, `kill` like a crash."""

    server: LocalServer
    child: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def pid(self) -> int:
        return self.child.pid

    def stop(self, timeout_s: float = 15) -> None:
        process.end(process.family(self.pid), self.server.stop_signal, timeout_s)
        self.child.wait(5)

    def kill(self) -> None:
        process.end(process.family(self.pid), signal.SIGKILL, 0)
        self.child.wait(5)


def start(*servers: LocalServer, timeout_s: float = 60, first: Collection[str] = ()) -> list[RunningServer]:
    """Start servers in parallel and return when all are ready; on failure none is left running.

    Call it from a thread that outlives the servers (see `process.spawn`). `first` names those on the order
    path.
    """
    for server in servers:
        check_ports(server)
        server.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max(1, len(servers))) as pool:
        list(pool.map(lambda server: server.prepare(), servers))
    running: list[RunningServer] = []
    try:
        for server in servers:
            with server.log_file.open("ab") as output:
                child = process.spawn(
                    server.command(),
                    cwd=server.folder,
                    output=output,
                    user=server.user,
                    first=server.name in first,
                    parent_death_signal=server.stop_signal,
                )
            running.append(RunningServer(server, child))
        with ThreadPoolExecutor(max(1, len(servers))) as pool:
            list(pool.map(lambda one: _await_ready(one, timeout_s), running))
    except BaseException:
        stop(running)
        raise
    return running


def _await_ready(one: RunningServer, timeout_s: float) -> None:
    if not process.wait_until(one.server.is_ready, one.child, timeout_s):
        raise ServerFailed(f"{one.server.name} does not start: {last_line(one.server.log_file)}")
    one.server.settle()


def check_ports(server: LocalServer) -> None:
    for setting, port in server.ports.items():
        if problem := ports.taken(port, setting):
            raise ServerFailed(f"{server.name}: {problem}")


def stop(running: Sequence[RunningServer]) -> None:
    """Stop servers in parallel."""
    with ThreadPoolExecutor(max(1, len(running))) as pool:
        list(pool.map(RunningServer.stop, running))


def last_line(log: Path, limit: int = 300) -> str:
    """The last line of a log that contains a word, for a message to a person."""
    if not log.is_file():
        return "its log is empty"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    worded = (line[:limit] for line in reversed(lines) if any(map(str.isalnum, line)))
    return next(worded, "its log is empty")
