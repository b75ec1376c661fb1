"""`paceline account`: list, halt and resume accounts, deposit and withdraw, make operators."""

from typing import Annotated, Literal

import msgspec
import typer

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.bootstrap.operator import OperatorPlatform
from paceline.commands.operating import (
    Yes,
    ask,
    decimal,
    instruction_id,
    platform,
    print_answer,
    print_outcome,
    record_act,
    unix_actor,
)
from paceline.commands.options import AsJson, Wide
from paceline.core.errors import NotFoundError
from paceline.core.times import to_datetime
from paceline.messages.inbound import Deposit, HaltAccount, ResumeAccount, Withdraw
from paceline.ports.operations import OperatorAccount
from paceline.usecases.operations import operating

_HELP = "List, halt and resume accounts; deposit, withdraw; make operators."
app = typer.Typer(add_completion=False, no_args_is_help=True, help=_HELP)

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT|EMAIL", help="The account, or its member's email address.")
]
Amount = Annotated[str, typer.Argument(help="USD, such as 250 or 99.5.")]


@app.callback()
def account() -> None:
    """List, halt and resume accounts; deposit, withdraw; make operators."""


COLUMNS = [
    Column(name="account"),
    Column(name="email", header="member", priority=2, least=16),
    Column(name="role", priority=6),
    Column(name="state", priority=1, style=lambda state: "red" if state == "halted" else ""),
    Column(name="cash", priority=3, align="right"),
    Column(name="margin", priority=5, align="right"),
    Column(name="locked", priority=7, align="right"),
    Column(name="open_trades", header="trades", priority=4, align="right"),
    Column(name="display_name", header="name", priority=8, least=12),
    Column(name="shard", priority=9, align="right"),
]


@app.command("list")
def list_(
    *,
    page: Annotated[int, typer.Option(min=1, max=1000, help="Number of the page.")] = 1,
    per_page: Annotated[int, typer.Option(min=1, max=1000, help="Accounts on a page.")] = 50,
    wide: Wide = False,
    as_json: AsJson = False,
) -> None:
    """List the accounts, newest first."""
    with platform() as opened:
        found = opened.control.accounts(offset=(page - 1) * per_page, limit=per_page)
    if as_json:
        terminal.show_json(found)
        return
    rows = [
        msgspec.structs.asdict(one) | {"state": "halted" if one.halted else "open"} for one in found.items
    ]
    terminal.show_table(COLUMNS, rows, wide=wide)
    typer.echo(f"page {page}, {found.total} accounts in all", err=True)


@app.command()
def show(account: Account, *, as_json: AsJson = False) -> None:
    """Show an account, up to the last effect that the writer has stored."""
    with platform() as opened:
        found = _known(opened, account)
    if as_json:
        terminal.show_json(found)
    else:
        terminal.show_fields(msgspec.structs.asdict(found) | {"opened": to_datetime(found.opened)})


@app.command()
def halt(account: Account, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Halt an account: it can close, amend and cancel, but not open anything new."""
    with platform() as opened:
        name = _known(opened, account).account
        ask(f"Halt account {name}? It cannot open anything new until it is resumed.", yes=yes)
        message = HaltAccount(instruction_id(), opened.gateway.now_us(), name)
        record_act(opened, message)
        outcome = operating.instruct_all_shards(opened.gateway, opened.control, message)
        print_outcome(f"Halting {name}", outcome, as_json=as_json)


@app.command()
def resume(account: Account, *, as_json: AsJson = False) -> None:
    """Resume a halted account."""
    with platform() as opened:
        name = _known(opened, account).account
        message = ResumeAccount(instruction_id(), opened.gateway.now_us(), name)
        record_act(opened, message)
        outcome = operating.instruct_all_shards(opened.gateway, opened.control, message)
        print_outcome(f"Resuming {name}", outcome, as_json=as_json)


@app.command(epilog="Example: paceline account deposit a.member@example.com 250")
def deposit(account: Account, amount: Amount, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Deposit USD into an account."""
    with platform() as opened:
        name = _known(opened, account).account
        ask(f"Deposit {amount} USD into {name}?", yes=yes)
        message = Deposit(instruction_id(), opened.gateway.now_us(), name, _amount(amount))
        record_act(opened, message)
        answer = operating.transfer(opened.gateway, opened.control, message)
        print_answer(f"Deposit into {name}", message.id, answer, as_json=as_json)


@app.command()
def withdraw(account: Account, amount: Amount, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Withdraw USD from an account's cash."""
    with platform() as opened:
        name = _known(opened, account).account
        ask(f"Withdraw {amount} USD from {name}?", yes=yes)
        message = Withdraw(instruction_id(), opened.gateway.now_us(), name, _amount(amount))
        record_act(opened, message)
        answer = operating.transfer(opened.gateway, opened.control, message)
        print_answer(f"Withdrawal from {name}", message.id, answer, as_json=as_json)


@app.command("make-operator")
def make_operator(
    email: Annotated[str, typer.Argument(help="Email address of a member who has signed in.")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Make the operator a plain member again.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give a member the operator's rights: markets, halts, deposits and withdrawals."""
    with platform() as opened:
        if not undo:
            ask(f"Let {email} halt markets and move money?", yes=yes)
        role: Literal["member", "operator"] = "member" if undo else "operator"
        operating.set_role(opened.control, email, role)
        account = opened.control.account_of(email)
        opened.security.record("role_changed", actor=unix_actor(), account=account, role=role)
    if as_json:
        terminal.show_json({"email": email, "role": role})
        return
    typer.echo(f"{email} is a plain member now." if undo else f"{email} is an operator now.")


def _known(opened: OperatorPlatform, name: str) -> OperatorAccount:
    if "@" not in name:
        return operating.require_account(opened.control, name)
    account = opened.control.account_of(name)
    if account is None:
        raise NotFoundError(f"The address {name!r} has not signed in yet.")
    return operating.require_account(opened.control, account)


def _amount(text: str) -> int:
    scaled = decimal(text)
    if not 0 < scaled <= operating.MAX_TRANSFER:
        raise typer.BadParameter("must be above 0 and at most 1000000000 USD", param_hint="AMOUNT")
    return scaled
