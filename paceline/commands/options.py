"""Options that many commands have."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; docs/command-line.md has its shape.")]
Wide = Annotated[bool, typer.Option("--wide", help="Print all columns in full, however narrow the terminal.")]
