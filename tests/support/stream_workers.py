"""Real stream workers as processes, connected to the test servers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from paceline.settings import PREFIX, Settings, load
from tests.support.servers import ROLE_PASSWORDS


def stream_environment(
    folder: Path, postgres_url: str, redis_url: str, brokers: str, **more: str | int
) -> dict[str, str]:
    """The environment of a worker; `more` are further settings by name."""
    values = {
        "VAR_DIR": folder,
        "POSTGRES_URL": postgres_url,
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP": brokers,
        **{name.upper(): value for name, value in more.items()},
    }
    plain = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return plain | ROLE_PASSWORDS | {PREFIX + name: str(value) for name, value in values.items()}


def settings_of(environment: dict[str, str], folder: Path) -> Settings:
    return load(environment, folder)


class Worker:
    """One `paceline stream` process. Its log goes to a file in `folder`."""

    def __init__(self, services: str, environment: dict[str, str], folder: Path) -> None:
        self.services = services
        self._environment = environment
        self.log = folder / f"{services.replace(',', '-')}.log"
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "paceline.cli", "stream", self.services],
                env=self._environment,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )

    def kill_and_restart(self) -> None:
        """Send SIGKILL and start a new process, as the supervisor does."""
        self.process.kill()
        self.process.wait(10)
        self.process = self._start()

    def stop(self, within_s: float = 15) -> int:
        """Send SIGTERM and return the exit code. If it does not end in time, kill it and show its log."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"{self.services} did not stop:\n{self.tail()}") from None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@contextmanager
def running(
    services: Sequence[str], environment: dict[str, str], folder: Path
) -> Iterator[dict[str, Worker]]:
    """Start one process for each of the services. Those still running at the end are killed."""
    workers = {name: Worker(name, environment, folder) for name in services}
    try:
        yield workers
    finally:
        for worker in workers.values():
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait(10)
