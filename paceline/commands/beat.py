"""`paceline beat SERVICE`: a health check for containers."""

import sys
from typing import Annotated

import typer


def beat(service: Annotated[str, typer.Argument(help="engine, writer, router, bars or feed.")]) -> None:
    """Exit code 0 if the service's last heartbeat in Redis reports no problem."""
    from paceline.local.supervisor import probes
    from paceline.settings import settings

    problem = probes.beats(settings().cache_url, service)(0)
    if problem:
        print(f"{service}: {problem}", file=sys.stderr)
        raise typer.Exit(1)
