"""What operators do: configure and halt markets, halt accounts, move money in and out."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from msgspec import Struct

from paceline.core.errors import ConflictError, NotFoundError, TransientError, UnknownError, ValidationError
from paceline.core.money import SCALE, parse_decimal
from paceline.messages.inbound import Admin, ConfigureMarket, Deposit, Withdraw
from paceline.ports.operations import AccountControl, Control, MarketControl
from paceline.ports.trading import Answer
from paceline.usecases.trading import instructions as trading
from paceline.usecases.trading.instructions import Desk

# An operator's ids are told from members': the same key of both must not be taken for a repetition.
OPERATOR = "operator-"
MOST_AT_ONCE = 10**9 * SCALE  # of USD in or out, as the API takes it
_SYMBOL = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_ASSET = re.compile(r"[A-Z0-9]{1,16}", re.ASCII)
_POLL_S = 0.05
_PARTLY = "It may not have reached the shards {shards}. Send it again: that does no harm."


class Outcome(Struct, frozen=True, kw_only=True):
    """Where an instruction to all shards has arrived. `pending`: not seen on all of them yet."""

    instruction: str
    status: Literal["done", "pending"]
    shards: list[int]


def market_settings(symbol: str, known: MarketControl | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration: those given, the others as they are; `ValidationError` if some lack.

    `given` has scaled integers where `known` has decimals; None stands for what is not given.
    """
    before = {} if known is None else {name: getattr(known, name) for name in given}
    for name in ("quantity_step", "min_notional"):
        if name in before:
            before[name] = parse_decimal(before[name])
    wanted = before | {name: value for name, value in given.items() if value is not None}
    lacking = [name for name in given if name not in wanted]
    if lacking:
        raise ValidationError(f"{symbol} is a new market: say its {', '.join(lacking)} as well.")
    if _SYMBOL.fullmatch(symbol) is None:
        raise ValidationError("A symbol is 1 to 64 letters, digits and underscores.")
    if _ASSET.fullmatch(wanted["base"]) is None or wanted["base"] == "USD":
        raise ValidationError("A base is 1 to 16 of A-Z and 0-9, and not USD.")
    if wanted["quantity_step"] == 0:
        raise ValidationError("The quantity step must be above 0.")
    return wanted


def configure_market(desk: Desk, control: Control, message: ConfigureMarket) -> Outcome:
    """Configure a market anew or for the first time; `ConflictError` where that would change its base."""
    for market in control.markets():
        if market.symbol == message.symbol and market.base != message.base:
            raise ConflictError(
                f"The base of {message.symbol} is {market.base} and cannot become {message.base}.",
                code="BASE_IS_FIXED",
            )
    return instruct(desk, control, message)


def known_market(control: Control, symbol: str) -> str:
    """The symbol, if there is such a market; `NotFoundError` else, because the engine would say nothing."""
    if symbol not in {market.symbol for market in control.markets()}:
        raise NotFoundError(f"There is no market {symbol[:64]!r}.")
    return symbol


def known_account(control: Control, account: str) -> AccountControl:
    found = control.account(account)
    if found is None:
        raise NotFoundError(f"There is no account {account[:64]!r}.")
    return found


def instruct(desk: Desk, control: Control, message: Admin) -> Outcome:
    """Hand to the log of every shard and wait, for as long as for a reply, until all engines took it.

    `TransientError`: no shard has it. `UnknownError`: some may have it; sending it again does no harm.
    """
    for shard in range(desk.shards):
        try:
            desk.log.append(message, shard)
        except TransientError as error:
            if shard == 0:
                raise
            raise UnknownError(_PARTLY.format(shards=f"{shard} to {desk.shards - 1}")) from error
    return _arrived(desk, control, message)


def _arrived(desk: Desk, control: Control, message: Admin) -> Outcome:
    account = getattr(message, "account", None)
    deadline = time.monotonic() + desk.reply_timeout_ms / 1000
    seen: set[int] = set()
    while True:
        with suppress(TransientError):  # it is on its way already; who has taken it is told later
            seen = control.shards_with(message.id, account)
        done = len(seen) == desk.shards
        if done or time.monotonic() >= deadline:
            return Outcome(instruction=message.id, status="done" if done else "pending", shards=sorted(seen))
        desk.pause(_POLL_S)


def transfer(desk: Desk, control: Control, message: Deposit | Withdraw) -> Answer | None:
    """Move money between an account and the outside; `None` if there is no answer in time."""
    known_account(control, message.account)
    return trading.send(desk, message)


def set_role(control: Control, email: str, role: Literal["member", "operator"]) -> None:
    if not control.set_role(email.lower(), role):
        raise NotFoundError(f"Nobody has signed in with the address {email!r} yet.")
