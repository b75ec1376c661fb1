"""The supervisor with real child processes: order, restarts, reasons, and that nothing is left behind."""

import asyncio
import os
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
from paceline.local.supervisor.runner import GOOD_RUN_S, Keeper, next_pause_s
from paceline.local.supervisor.service import Service, State
from paceline.local.supervisor.supervisor import Supervisor

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_pauses_double_up_to_the_longest_and_start_anew_after_a_good_run() -> None:
    pauses, pause_s = [], 0.0
    for _ in range(7):
        pause_s = next_pause_s(pause_s, lived_s=1, longest_s=30)
        pauses.append(pause_s)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert next_pause_s(30, lived_s=GOOD_RUN_S, longest_s=30) == 1


class Run:
    """A supervisor in a temporary folder, with the changes it reported."""

    def __init__(self, folder: Path, services: list[Service]) -> None:
        self.folder = folder
        self.changes: list[tuple[str, State]] = []
        (folder / "run").mkdir()
        self.supervisor = Supervisor(
            services,
            var_dir=folder,
            cwd=folder,
            environment=dict(os.environ),
            longest_pause_s=30,
            changed=lambda keeper: self.changes.append((keeper.service.name, keeper.state)),
            stopping=lambda: None,
        )

    def keeper(self, name: str) -> Keeper:
        return self.supervisor.keepers[name]

    async def until(self, holds: Callable[[], bool], timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, self.changes
            await asyncio.sleep(0.02)

    def play(self, scene: Callable[["Run"], Awaitable[None]]) -> None:
        """Runs the scene beside the supervisor, then presses Ctrl-C."""

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
        await run.until(lambda: run.keeper("second").state is State.UP)
        assert run.changes.index(("first", State.DONE)) < run.changes.index(("second", State.STARTING))
        found = state.read(run.folder)
        assert found is not None
        assert found["healthy"] is True
        assert found["services"]["second"]["pid"] == run.keeper("second").pid

    Run(tmp_path, [first, second]).play(scene)
    assert (tmp_path / "made").exists()
    assert state.read(tmp_path) is None


def test_a_killed_service_is_started_again_and_the_reason_is_told(tmp_path: Path) -> None:
    async def scene(run: Run) -> None:
        await run.until(lambda: run.keeper("victim").state is State.UP)
        victim = run.keeper("victim").pid
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        # Sooner than it would be asked again how it is.
        await run.until(lambda: run.keeper("victim").state is State.RESTARTING, timeout_s=2.5)
        assert "killed by SIGKILL" in run.keeper("victim").reason
        assert "again in 1 s" in run.keeper("victim").reason
        await run.until(lambda: run.keeper("victim").state is State.UP)
        assert run.keeper("victim").restarts == 1
        assert run.keeper("victim").pid != victim

    Run(tmp_path, [Service(name="victim", command=SLEEPER)]).play(scene)


def test_the_last_word_of_a_failing_service_is_its_reason(tmp_path: Path) -> None:
    failing = Service(name="failing", command=python("import sys; sys.exit('the oven is cold')"))

    async def scene(run: Run) -> None:
        await run.until(lambda: run.keeper("failing").state is State.RESTARTING)
        assert "exit code 1" in run.keeper("failing").reason
        assert "the oven is cold" in run.keeper("failing").reason

    Run(tmp_path, [failing]).play(scene)


def test_a_taken_port_names_its_holder_and_the_setting(tmp_path: Path) -> None:
    port = free_port()
    serve = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    holder = Service(name="holder", command=serve, probe=probes.listens("127.0.0.1", port))
    late = Service(name="late", command=SLEEPER, needs=("holder",), ports={"api_port": port})

    async def scene(run: Run) -> None:
        await run.until(lambda: run.keeper("late").state is State.RESTARTING)
        assert f"port {port} is taken by PID {run.keeper('holder').pid}" in run.keeper("late").reason
        assert "PACELINE_API_PORT" in run.keeper("late").reason

    Run(tmp_path, [holder, late]).play(scene)


def test_an_unwell_service_is_shown_and_recovers(tmp_path: Path) -> None:
    flag = tmp_path / "well"
    flag.touch()
    moody = Service(name="moody", command=SLEEPER, probe=lambda _: None if flag.exists() else "feels bad")

    async def scene(run: Run) -> None:
        await run.until(lambda: run.keeper("moody").state is State.UP)
        flag.unlink()
        await run.until(lambda: run.keeper("moody").state is State.UNHEALTHY)
        assert run.keeper("moody").reason == "feels bad"
        found = state.read(run.folder)
        assert found is not None
        assert found["healthy"] is False
        flag.touch()
        await run.until(lambda: run.keeper("moody").state is State.UP)
        assert run.keeper("moody").restarts == 0

    Run(tmp_path, [moody]).play(scene)


def test_grandchildren_that_hide_are_ended_too(tmp_path: Path) -> None:
    """One stays in the session, one leaves it, and both outlive their parent, which is killed."""
    code = (
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "kin = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]\n"
        "open('kin', 'w').write(' '.join(str(one.pid) for one in kin))\n"
        "time.sleep(600)\n"
    )
    kin: list[psutil.Process] = []

    async def scene(run: Run) -> None:
        await run.until(lambda: (tmp_path / "kin").exists() and bool((tmp_path / "kin").read_text()))
        kin.extend(psutil.Process(int(pid)) for pid in (tmp_path / "kin").read_text().split())
        parent = run.keeper("parent").pid
        assert parent is not None
        os.kill(parent, signal.SIGKILL)
        await run.until(lambda: run.keeper("parent").restarts == 1)
        assert not is_alive(kin[0])

    Run(tmp_path, [Service(name="parent", command=python(code))]).play(scene)
    assert len(kin) == 2
    assert not any(map(is_alive, kin))


def test_who_does_not_listen_to_sigterm_is_killed_in_time(tmp_path: Path) -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    deaf = python(f"{ignore}; open('deaf', 'w').close(); time.sleep(600)")

    async def scene(run: Run) -> None:
        await run.until((tmp_path / "deaf").exists)

    begun = time.monotonic()
    Run(tmp_path, [Service(name="deaf", command=deaf)]).play(scene)
    assert time.monotonic() - begun < 20


def test_two_on_one_folder_are_refused(tmp_path: Path) -> None:
    with state.only_one(tmp_path):
        script = (
            "from pathlib import Path; from paceline.local.supervisor import state\n"
            f"with state.only_one(Path({str(tmp_path)!r})): print('both')"
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
