"""`paceline up` from the command line, with the servers and the one-shot services that need only them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from paceline.local.processes import leftovers
from paceline.local.processes.process import is_alive
from paceline.local.stack import services as stack
from paceline.settings import PREFIX, Settings, load
from tests.support.servers import free_port

KEPT = {"postgres", "redis", "kafka", "migrate", "topics"}
PACELINE = (sys.executable, "-m", "paceline.cli")


@pytest.fixture
def environment(server_folder: Path) -> Mapping[str, str]:
    numbers = [name for name in Settings.__dataclass_fields__ if name.endswith("_port")]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
        **{f"{PREFIX}{name.upper()}": str(free_port()) for name in numbers},
        f"{PREFIX}VAR_DIR": str(server_folder / "var"),
    }


def status(environment: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [*PACELINE, "status", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["healthy"] else 1)
    return found


@contextmanager
def up(environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    names = {service.name for service in stack.services(load(environment), stack.UpOptions())}
    without = [part for name in sorted(names - KEPT) for part in ("--without", name)]
    with subprocess.Popen(
        [*PACELINE, "up", *without],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def wait_until_healthy(environment: Mapping[str, str], running: "subprocess.Popen[str]") -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while not (found := status(environment))["healthy"]:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline, found
        time.sleep(1)
    return found


def press_ctrl_c(running: "subprocess.Popen[str]") -> str:
    begun = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)
    output, _ = running.communicate(timeout=25)
    assert time.monotonic() - begun < 20
    assert running.returncode == 0, output
    return output


def test_up_restarts_after_sigkill_and_ctrl_c_leaves_no_process(environment: Mapping[str, str]) -> None:
    var_dir = Path(environment[f"{PREFIX}VAR_DIR"])
    assert status(environment) == {"healthy": False, "running": False, "services": {}}
    with up(environment) as running:
        found = wait_until_healthy(environment, running)
        assert found["services"].keys() == KEPT
        with psycopg.connect(load(environment).database_url, autocommit=True) as connection:
            connection.execute("insert into engine.installation (shards) values (4)")
        servers = [psutil.Process(found["services"][name]["pid"]) for name in ("postgres", "redis", "kafka")]
        with up(environment) as second:
            output, _ = second.communicate(timeout=30)
        assert second.returncode == 1
        assert f"already runs on {var_dir}" in output
        running.kill()
        running.communicate()
    deadline = time.monotonic() + 15
    while any(map(is_alive, servers)):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    with up(environment) as running:
        wait_until_healthy(environment, running)
        with psycopg.connect(load(environment).database_url) as connection:
            assert connection.execute("select shards from engine.installation").fetchone() == (4,)
        output = press_ctrl_c(running)
    assert "127.0.0.1" in output
    assert output.rstrip().endswith("stopped")
    assert leftovers.find(var_dir) == []
    assert not (var_dir / "run" / "up.json").exists()


def test_up_names_a_port_that_is_in_use(environment: Mapping[str, str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(environment[f"{PREFIX}REDIS_PORT"])))
        holder.listen()
        with up(environment) as running:
            output, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    words = " ".join(output.split())
    assert f"port {environment[f'{PREFIX}REDIS_PORT']} is taken by PID {os.getpid()}" in words
    assert "PACELINE_REDIS_PORT" in words
