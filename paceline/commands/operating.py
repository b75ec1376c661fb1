"""Shared by `paceline market` and `paceline account`: the platform, confirmations, results."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import uuid4

import typer

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.logs import warnings_to_stderr
from paceline.bootstrap.operator import OperatorPlatform, open_operator_platform
from paceline.core.errors import TradingError
from paceline.core.money import parse_decimal
from paceline.messages.inbound import AdminInstruction, UserInstruction
from paceline.ports.trading import Answer
from paceline.settings import settings
from paceline.usecases.operations.operating import Outcome, describe_act, operator_id
from paceline.usecases.trading.refusals import refusal_sentence

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@contextmanager
def platform() -> Iterator[OperatorPlatform]:
    """The platform of this installation, as operators use it."""
    with warnings_to_stderr():
        opened = open_operator_platform(settings())
        try:
            yield opened
        finally:
            opened.close()


def unix_actor() -> str:
    """The actor of a command in security events: the Unix user of this process, not of its environment."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def record_act(opened: OperatorPlatform, message: AdminInstruction | UserInstruction) -> None:
    """Record the operator's act that this command is about to send."""
    opened.security.record(
        "operator_acted",
        actor=unix_actor(),
        account=getattr(message, "account", None),
        **describe_act(message),
    )


def instruction_id() -> str:
    return operator_id(uuid4().hex)


def ask(question: str, *, yes: bool) -> None:
    """Ask for confirmation, or abort. Without a terminal, use `--yes`."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def decimal(text: str) -> int:
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def print_outcome(what: str, outcome: Outcome, *, as_json: bool = False) -> None:
    if as_json:
        terminal.show_json(outcome)
    elif outcome.status == "done":
        typer.echo(f"{what}: done on {len(outcome.shards)} shards.")
    else:
        typer.echo(
            f"{what}: written to the log of every shard, applied so far on {outcome.shards or 'none'}. "
            "The engine applies it when it reaches it. `paceline status` shows whether the engine runs."
        )


def print_answer(what: str, instruction: str, answer: Answer | None, *, as_json: bool = False) -> None:
    """Print the result of a deposit or a withdrawal. A refusal raises `TradingError`."""
    if as_json:
        status = "pending" if answer is None else "rejected" if answer.status == "rejected" else "done"
        code = None if answer is None else answer.code
        terminal.show_json({"instruction": instruction, "status": status, "code": code})
    elif answer is None:
        typer.echo(f"{what}: written to the log, not answered yet. Do not send it again; look later.")
    elif answer.status != "rejected":
        typer.echo(f"{what}: done.")
    if answer is not None and answer.status == "rejected":
        raise TradingError(f"{what}: {refusal_sentence(answer.code)} ({answer.code})", code=answer.code)
