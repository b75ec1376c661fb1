"""The supervisor with real child processes: start order, restarts, reasons and cleanup."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from paceline.local.processes import leftovers
from paceline.local.processes.ports import free_port
from paceline.local.processes.process import is_alive
from paceline.local.supervisor import probes, state
from paceline.local.supervisor.runner import GOOD_RUN_S, ServiceRunner, next_pause_s
from paceline.local.supervisor.service import Service, ServiceState
from paceline.local.supervisor.supervisor import Supervisor

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_pauses_double_up_to_the_maximum_and_are_reset_after_a_good_run() -> None:
    pauses, pause_s = [], 0.0
    for _ in range(7):
        pause_s = next_pause_s(pause_s, lived_s=1, longest_s=30)
        pauses.append(pause_s)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert next_pause_s(30, lived_s=GOOD_RUN_S, longest_s=30) == 1


class Run:
    """A supervisor in a temporary folder, with the changes that it reported."""

    def __init__(self, folder: Path, services: list[Service]) -> None:
        self.folder = folder
        self.changes: list[tuple[str, ServiceState]] = []
        (folder / "run").mkdir()
        self.supervisor = Supervisor(
            services,
            var_dir=folder,
            cwd=folder,
            environment=dict(os.environ),
            longest_pause_s=30,
            changed=lambda runner: self.changes.append((runner.service.name, runner.state)),
            stopping=lambda: None,
        )

    def runner(self, name: str) -> ServiceRunner:
        return self.supervisor.runners[name]

    async def until(self, holds: Callable[[], bool], timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, self.changes
            await asyncio.sleep(0.02)

    def play(self, scene: Callable[["Run"], Awaitable[None]]) -> None:
        """Run the scene while the supervisor runs, then send SIGINT."""

        async def main() -> None:
            running = asyncio.create_task(self.supervisor.run())
            try:
                await scene(self)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.wait_for(running, 20)

        asyncio.run(main())
        assert leftovers.find(self.folder) == []


def test_services_start_in_order_and_one_shots_finish_first(tmp_path: Path) -> None:
    first = Service(name="first", command=python("open('made', 'w').close()"), once=True)
    second = Service(name="second", command=(*SLEEPER,), needs=("first",))

    async def scene(run: Run) -> None:
        await run.until(lambda: run.runner("second").state is ServiceState.UP)
        assert run.changes.index(("first", ServiceState.DONE)) < run.changes.index(
            ("second", ServiceState.STARTING)
        )
        found = state.read(run.folder)
        assert found is not None
        assert found["healthy"] is True
        assert found["services"]["second"]["pid"] == run.runner("second").pid

    Run(tmp_path, [first, second]).play(scene)
    assert (tmp_path / "made").exists()
    assert state.read(tmp_path) is None


def test_a_killed_service_is_restarted_with_the_reason(tmp_path: Path) -> None:
    async def scene(run: Run) -> None:
        await run.until(lambda: run.runner("victim").state is ServiceState.UP)
        victim = run.runner("victim").pid
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        # Sooner than the next health check.
        await run.until(lambda: run.runner("victim").state is ServiceState.RESTARTING, timeout_s=2.5)
        assert "killed by SIGKILL" in run.runner("victim").reason
        pause = re.search(r"\(again in (\d\.\d) s\)", run.runner("victim").reason)
        assert pause is not None
        assert 0.5 <= float(pause[1]) <= 1.0
        await run.until(lambda: run.runner("victim").state is ServiceState.UP)
        assert run.runner("victim").restarts == 1
        assert run.runner("victim").pid != victim

    Run(tmp_path, [Service(name="victim", command=SLEEPER)]).play(scene)


def test_the_last_log_line_of_a_failing_service_is_its_reason(tmp_path: Path) -> None:
    failing = Service(name="failing", command=python("import sys; sys.exit('the oven is cold')"))

    async def scene(run: Run) -> None:
        await run.until(lambda: run.runner("failing").state is ServiceState.RESTARTING)
        assert "exit code 1" in run.runner("failing").reason
        assert "the oven is cold" in run.runner("failing").reason

    Run(tmp_path, [failing]).play(scene)


def test_a_port_in_use_names_its_process_and_the_setting(tmp_path: Path) -> None:
    port = free_port()
    serve = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    holder = Service(name="holder", command=serve, probe=probes.listens("127.0.0.1", port))
    late = Service(name="late", command=SLEEPER, needs=("holder",), ports={"api_port": port})

    async def scene(run: Run) -> None:
        await run.until(lambda: run.runner("late").state is ServiceState.RESTARTING)
        assert f"port {port} is taken by PID {run.runner('holder').pid}" in run.runner("late").reason
        assert "PACELINE_API_PORT" in run.runner("late").reason

    Run(tmp_path, [holder, late]).play(scene)


def test_an_unhealthy_service_is_shown_and_recovers(tmp_path: Path) -> None:
    flag = tmp_path / "well"
    flag.touch()
    flaky = Service(name="flaky", command=SLEEPER, probe=lambda _: None if flag.exists() else "feels bad")

    async def scene(run: Run) -> None:
        await run.until(lambda: run.runner("flaky").state is ServiceState.UP)
        flag.unlink()
        await run.until(lambda: run.runner("flaky").state is ServiceState.UNHEALTHY)
        assert run.runner("flaky").reason == "feels bad"
        found = state.read(run.folder)
        assert found is not None
        assert found["healthy"] is False
        flag.touch()
        await run.until(lambda: run.runner("flaky").state is ServiceState.UP)
        assert run.runner("flaky").restarts == 0

    Run(tmp_path, [flaky]).play(scene)


def test_orphaned_grandchildren_are_ended_too(tmp_path: Path) -> None:
    """One stays in the session, one leaves it. Both outlive their killed parent."""
    code = (
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "grandchildren = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]\n"
        "open('grandchildren', 'w').write(' '.join(str(one.pid) for one in grandchildren))\n"
        "time.sleep(600)\n"
    )
    grandchildren: list[psutil.Process] = []

    async def scene(run: Run) -> None:
        await run.until(
            lambda: (tmp_path / "grandchildren").exists() and bool((tmp_path / "grandchildren").read_text())
        )
        grandchildren.extend(
            psutil.Process(int(pid)) for pid in (tmp_path / "grandchildren").read_text().split()
        )
        parent = run.runner("parent").pid
        assert parent is not None
        os.kill(parent, signal.SIGKILL)
        await run.until(lambda: run.runner("parent").restarts == 1)
        assert not is_alive(grandchildren[0])

    Run(tmp_path, [Service(name="parent", command=python(code))]).play(scene)
    assert len(grandchildren) == 2
    assert not any(map(is_alive, grandchildren))


def test_a_service_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    ignoring = python(f"{ignore}; open('ignoring', 'w').close(); time.sleep(600)")

    async def scene(run: Run) -> None:
        await run.until((tmp_path / "ignoring").exists)

    begun = time.monotonic()
    Run(tmp_path, [Service(name="ignoring", command=ignoring)]).play(scene)
    assert time.monotonic() - begun < 20


def test_a_second_stack_on_the_folder_is_refused(tmp_path: Path) -> None:
    with state.lock_folder(tmp_path):
        script = (
            "from pathlib import Path; from paceline.local.supervisor import state\n"
            f"with state.lock_folder(Path({str(tmp_path)!r})): print('both')"
        )

        second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"A stack already runs on {tmp_path} (PID {os.getpid()})" in second.stderr


def test_leftovers_of_an_earlier_run_are_found_by_their_mark(tmp_path: Path) -> None:

    marked = {**os.environ, **leftovers.mark(tmp_path)}
    with subprocess.Popen(SLEEPER, env=marked) as mine, subprocess.Popen(SLEEPER) as other:
        assert [one.pid for one in leftovers.find(tmp_path)] == [mine.pid]
        names = leftovers.end(tmp_path)
        assert mine.wait(5) != 0
        assert str(mine.pid) in names[0]
        assert other.poll() is None
        other.kill()
