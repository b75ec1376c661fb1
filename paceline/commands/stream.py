"""`paceline stream`: a worker with some of the stream services."""

from typing import Annotated

import typer

from paceline.settings import settings


def stream(
    services: Annotated[
        str,
        typer.Argument(help="engine, writer, router, bars, feed or watchdog; several with commas."),
    ],
) -> None:
    """Run stream services until SIGTERM or Ctrl-C."""
    from stream.runtime.app import run

    run([name.strip() for name in services.split(",") if name.strip()], settings())
