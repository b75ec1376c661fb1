"""A temporary stack with its own folder and free ports, for benchmarks, drills and end-to-end tests.

It is started with `paceline up`, so tests and measurements use the same stack as people do.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from paceline.local.processes.process import spawn
from paceline.local.supervisor import state
from paceline.settings import PREFIX, Settings, load

PACELINE = str(Path(sys.executable).with_name("paceline"))


@dataclass(frozen=True)
class Stack:
    """A running stack: its data folder, its environment and how long its start took."""

    folder: Path
    environment: Mapping[str, str]
    settings: Settings
    process: "subprocess.Popen[bytes]"
    healthy_after_s: float

    def status(self) -> dict[str, Any]:
        """The supervisor's last state of its services."""
        return state.read(self.settings.var_dir) or {"healthy": False, "services": {}}

    def service_pid(self, service: str) -> int:
        """Process id of a service, as the supervisor reports it."""
        pid = self.status()["services"][service]["pid"]
        if not isinstance(pid, int):
            raise RuntimeError(f"{service} does not run")
        return pid

    def run(self, *arguments: str, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run a `paceline` command against this stack; raises with its output if it fails."""
        done = subprocess.run(
            [PACELINE, *arguments],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"paceline {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are bound at the same time, so they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def throwaway_stack(
    arguments: Sequence[str] = ("--without", "airflow", "--without", "traders"),
    environment: Mapping[str, str] | None = None,
    healthy_within_s: float = 180,
) -> Iterator[Stack]:
    """Start a stack in a temporary folder, wait until it is healthy, stop it with one interrupt."""
    folder = Path(tempfile.mkdtemp(prefix="paceline-"))
    folder.chmod(0o755)  # Postgres may run as another user
    names = [PREFIX + item.name.upper() for item in fields(Settings) if item.name.endswith("_port")]
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
        **{name: str(port) for name, port in zip(names, free_ports(len(names)), strict=True)},
        f"{PREFIX}VAR_DIR": str(folder / "var"),
        **(environment or {}),
    }
    started = time.monotonic()
    with (folder / "up.log").open("wb") as log:
        # If this process is killed, the stack gets a signal to stop.
        process = spawn([PACELINE, "up", *arguments], cwd=Path.cwd(), output=log, environment=env)
    try:
        _wait_until_healthy(process, folder, started + healthy_within_s)
        healthy_after_s = time.monotonic() - started
        yield Stack(folder, env, load(env), process, healthy_after_s)
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def stop(process: "subprocess.Popen[bytes]", within_s: float = 25) -> None:
    """Send one interrupt, as Ctrl-C does; kill what has not ended in time."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _wait_until_healthy(process: "subprocess.Popen[bytes]", folder: Path, deadline: float) -> None:
    """Read the supervisor's state file: running `paceline status` each time would slow the start down."""
    while not (state.read(folder / "var") or {}).get("healthy"):
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            why = f"has ended with {ended}" if ended is not None else "is not healthy in time"
            log = (folder / "up.log").read_text(errors="replace")[-4000:]
            raise RuntimeError(f"paceline up {why}:\n{log}")
        time.sleep(0.2)
