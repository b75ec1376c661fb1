"""`paceline account`: look at accounts, halt and resume them, move money, make operators."""

from typing import Annotated

import msgspec
import typer

from paceline.bootstrap import Platform
from paceline.commands.operating import (
    AsJson,
    Yes,
    ask,
    decimal,
    instruction_id,
    platform,
    tell_answer,
    tell_outcome,
)
from paceline.core.errors import NotFoundError
from paceline.messages.inbound import Deposit, HaltAccount, ResumeAccount, Withdraw
from paceline.ports.operations import AccountControl
from paceline.usecases.operations import operating

_HELP = "Look at accounts; halt, resume, pay in and out; make operators."
app = typer.Typer(add_completion=False, no_args_is_help=True, help=_HELP)

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT|EMAIL", help="The account, or its member's address.")
]
Amount = Annotated[str, typer.Argument(help="USD, such as 250 or 99.5.")]


@app.callback()
def account() -> None:
    """Look at accounts; halt, resume, pay in and out; make operators."""


@app.command("list")
def list_(
    *,
    page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=1000, help="Accounts on a page.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Accounts, newest first."""
    with platform() as opened:
        found = opened.control.accounts(offset=(page - 1) * per_page, limit=per_page)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("account", no_wrap=True)
    for heading in ("member", "cash", "margin", "open trades", "state"):
        table.add_column(heading, overflow="fold")
    for one in found.items:
        who = f"{one.email} ({one.role})" if one.role == "operator" else one.email or "nobody"
        state = "halted" if one.halted else "open"
        table.add_row(one.account, who, one.cash, one.margin, str(one.open_trades), state)
    console = Console()
    console.print(table)
    console.print(f"page {page}, {found.total} accounts in all", highlight=False)


@app.command()
def show(account: Account, *, as_json: AsJson = False) -> None:
    """An account, as far as the writer has come."""
    with platform() as opened:
        found = _known(opened, account)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for name, value in msgspec.structs.asdict(found).items():
        typer.echo(f"{name.replace('_', ' '):<14}{'nobody' if value is None else value}")


@app.command()
def halt(account: Account, *, yes: Yes = False) -> None:
    """Halt an account: it may close, amend and cancel, but open nothing new."""
    with platform() as opened:
        name = _known(opened, account).account
        ask(f"Halt account {name}? It can open nothing until it is resumed.", yes=yes)
        message = HaltAccount(instruction_id(), opened.desk.now_us(), name)
        tell_outcome(f"Halting {name}", operating.instruct(opened.desk, opened.control, message))


@app.command()
def resume(account: Account) -> None:
    """Resume a halted account."""
    with platform() as opened:
        name = _known(opened, account).account
        message = ResumeAccount(instruction_id(), opened.desk.now_us(), name)
        tell_outcome(f"Resuming {name}", operating.instruct(opened.desk, opened.control, message))


@app.command()
def deposit(account: Account, amount: Amount, *, yes: Yes = False) -> None:
    """Pay USD into an account."""
    with platform() as opened:
        name = _known(opened, account).account
        ask(f"Pay {amount} USD into {name}?", yes=yes)
        message = Deposit(instruction_id(), opened.desk.now_us(), name, _amount(amount))
        tell_answer(f"Deposit into {name}", operating.transfer(opened.desk, opened.control, message))


@app.command()
def withdraw(account: Account, amount: Amount, *, yes: Yes = False) -> None:
    """Pay USD out of an account's cash."""
    with platform() as opened:
        name = _known(opened, account).account
        ask(f"Pay {amount} USD out of {name}?", yes=yes)
        message = Withdraw(instruction_id(), opened.desk.now_us(), name, _amount(amount))
        tell_answer(f"Withdrawal from {name}", operating.transfer(opened.desk, opened.control, message))


@app.command("make-operator")
def make_operator(
    email: Annotated[str, typer.Argument(help="Address of a member who has signed in before.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Make an operator a plain member again.")] = False,
    yes: Yes = False,
) -> None:
    """Let a member use the operators' part of the API: markets, halts, deposits and withdrawals."""
    with platform() as opened:
        if not undo:
            ask(f"Let {email} halt markets and move money?", yes=yes)
        operating.set_role(opened.control, email, "member" if undo else "operator")
    typer.echo(f"{email} is a plain member now." if undo else f"{email} is an operator now.")


def _known(opened: Platform, name: str) -> AccountControl:
    if "@" not in name:
        return operating.known_account(opened.control, name)
    account = opened.control.account_of(name)
    if account is None:
        raise NotFoundError(f"Nobody has signed in with the address {name!r} yet.")
    return operating.known_account(opened.control, account)


def _amount(text: str) -> int:
    scaled = decimal(text)
    if not 0 < scaled <= operating.MOST_AT_ONCE:
        raise typer.BadParameter("must be above 0 and at most 1000000000", param_hint="AMOUNT")
    return scaled
