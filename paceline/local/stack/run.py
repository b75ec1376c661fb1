"""Runs the stack for `paceline up`: secrets, lock, checks, supervisor."""

import asyncio
import os
import socket
from pathlib import Path
from zlib import crc32

from rich.console import Console

from paceline.local import doctor
from paceline.local.processes import leftovers
from paceline.local.stack import airflow, secrets
from paceline.local.stack import services as stack
from paceline.local.stack.services import UpOptions
from paceline.local.supervisor import state
from paceline.local.supervisor.runner import ServiceRunner
from paceline.local.supervisor.screen import Screen
from paceline.local.supervisor.supervisor import Supervisor
from paceline.settings import PREFIX, Settings, load, read_variables


def run(options: UpOptions) -> int:
    """Run the stack until it is stopped or cannot start; returns the exit code."""
    console = Console()
    folder = Path.cwd()
    var_dir = (folder / load(os.environ, folder).var_dir).resolve()
    os.environ[f"{PREFIX}VAR_DIR"] = str(var_dir)
    secrets.ensure(var_dir)
    settings = load(os.environ, folder)
    services = stack.services(settings, options)
    with state.lock_folder(var_dir):
        if ended := leftovers.end(var_dir):
            console.print(
                f"ended processes left over from an earlier run: {', '.join(ended)}", highlight=False
            )
        findings = doctor.check(settings, services)
        if doctor.has_errors(findings):
            doctor.show(findings)
            return 1
        for finding in findings:
            if finding.level is doctor.Level.WARNING:
                console.print(f"[yellow]{finding.subject}[/]: {finding.message}", soft_wrap=True)
        console.print(
            f"starting {len(services)} services, data in {var_dir}", highlight=False, soft_wrap=True
        )
        screen = Screen(console, _hints(settings, options))

        def changed(runner: ServiceRunner) -> None:
            screen.changed(runner, list(supervisor.runners.values()))

        supervisor = Supervisor(
            services,
            var_dir=var_dir,
            cwd=folder,
            environment=_environment(folder, settings, var_dir),
            longest_pause_s=settings.restart_pause_s,
            changed=changed,
            stopping=screen.stopping,
        )
        asyncio.run(supervisor.run())
    console.print("stopped")
    return 0


def _environment(folder: Path, settings: Settings, var_dir: Path) -> dict[str, str]:
    """The environment of every service: ours, plus the settings from files."""
    found = read_variables(os.environ, folder)
    return {
        **found,
        **secrets.none(),  # each service adds its own
        # One worker per service: Kafka gives a restarted one its shards back at once.
        f"{PREFIX}WORKER_ID": settings.worker_id or f"{socket.gethostname()}-{crc32(bytes(var_dir)):08x}",
        "PATH": f"{stack.BIN}{os.pathsep}{found.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # otherwise glibc uses memory for each thread of every process
        "NO_COLOR": "1",
    }


def _hints(settings: Settings, options: UpOptions) -> list[str]:
    lines = [f"logs: {settings.var_dir / 'log'}/<service>.log · state: `paceline status`"]
    if "airflow" not in options.without:
        lines.append(f"Airflow: user {airflow.USER}, password in {airflow.password_file(settings)}")
    return lines
