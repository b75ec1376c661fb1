"""`paceline doctor`: checks whether this machine can run the stack."""

import os

import typer

from paceline.adapters.runtime import terminal
from paceline.commands.options import AsJson


def doctor(*, as_json: AsJson = False) -> None:
    """Check Python, wheels, ports, disk, memory and settings. Exit code 1 if a check fails."""
    from paceline.local import doctor as checks
    from paceline.local.stack import services as stack
    from paceline.local.supervisor import state
    from paceline.settings import load

    settings = load(os.environ)
    running = state.read(settings.var_dir)
    # A running stack uses its own ports, so they are not checked.
    services = [] if running else stack.services(settings, stack.UpOptions())
    findings = checks.check(settings, services)
    findings.insert(0, checks.Finding("settings", checks.Level.OK, "valid"))
    if running:
        pid = running["pid"]
        findings.insert(
            0, checks.Finding("stack", checks.Level.OK, f"is running (PID {pid}), so ports are not checked")
        )
    if as_json:
        terminal.show_json({"ok": not checks.has_errors(findings), "findings": findings})
    else:
        checks.show(findings)
    raise typer.Exit(1 if checks.has_errors(findings) else 0)
