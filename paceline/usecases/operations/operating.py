"""Operations for operators: configure and halt markets, halt accounts, deposit and withdraw."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal

from msgspec import Struct

from paceline.core.errors import ConflictError, NotFoundError, TransientError, UnknownError, ValidationError
from paceline.core.money import SCALE, format_decimal, parse_decimal
from paceline.domain.trading.idempotency import is_same_request
from paceline.messages.inbound import (
    KIND_BY_TYPE,
    AdminInstruction,
    ConfigureMarket,
    Deposit,
    UserInstruction,
    Withdraw,
)
from paceline.ports.operations import Instruction, OperatorAccount, OperatorMarket, OperatorStore
from paceline.ports.trading import Answer
from paceline.usecases.trading import instructions as trading
from paceline.usecases.trading.instructions import TradingGateway

# Prefix of operators' instruction ids: the same key from an operator and a member is not a repetition.
OPERATOR_ID_PREFIX = "operator-"
MAX_TRANSFER = 10**9 * SCALE  # largest deposit or withdrawal, scaled USD; the API has the same limit
_SYMBOL = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_ASSET = re.compile(r"[A-Z0-9]{1,16}", re.ASCII)
_POLL_S = 0.05
_PARTLY_SENT = "The shards {shards} may not have the instruction. Send it again: a repetition is safe."
_COMMAND_LINE = "cli"  # an account has 20 hex characters


def operator_id(key: str, operator: str = _COMMAND_LINE) -> str:
    """The id of an operator's instruction. Each operator's account, and the command line, has its own ids."""
    return f"{OPERATOR_ID_PREFIX}{operator}-{key}"


class Outcome(Struct, frozen=True, kw_only=True):
    """The shards that have applied an instruction to all shards. `pending`: some have not yet."""

    instruction: str
    status: Literal["done", "pending"]
    shards: list[int]


def market_settings(symbol: str, known: OperatorMarket | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """A market's new configuration: the given fields, and the others unchanged.

    `ValidationError` if a new market lacks fields. `given` has scaled integers where `known` has decimals;
    None in `given` means not given.
    """
    current = {} if known is None else {name: getattr(known, name) for name in given}
    for name in ("quantity_step", "min_notional"):
        if name in current:
            current[name] = parse_decimal(current[name])
    wanted = current | {name: value for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in wanted]
    if missing:
        raise ValidationError(f"{symbol} is a new market. Give its {', '.join(missing)} too.")
    if _SYMBOL.fullmatch(symbol) is None:
        raise ValidationError("A symbol must be 1 to 64 letters, digits and underscores.")
    if _ASSET.fullmatch(wanted["base"]) is None or wanted["base"] == "USD":
        raise ValidationError("A base must be 1 to 16 characters of A-Z and 0-9, and not USD.")
    if wanted["quantity_step"] == 0:
        raise ValidationError("The quantity step must be above 0.")
    return wanted


def configure_market(gateway: TradingGateway, control: OperatorStore, message: ConfigureMarket) -> Outcome:
    """Configure a new or known market; `ConflictError` if that would change its base."""
    for market in control.markets():
        if market.symbol == message.symbol and market.base != message.base:
            raise ConflictError(
                f"The base of {message.symbol} is {market.base} and cannot become {message.base}.",
                code="BASE_IS_FIXED",
            )
    return instruct_all_shards(gateway, control, message)


def require_market(control: OperatorStore, symbol: str) -> str:
    """The symbol; `NotFoundError` if the market does not exist. The engine would not answer."""
    if symbol not in {market.symbol for market in control.markets()}:
        raise NotFoundError(f"The market {symbol[:64]!r} does not exist.")
    return symbol


def require_account(control: OperatorStore, account: str) -> OperatorAccount:
    found = control.account(account)
    if found is None:
        raise NotFoundError(f"The account {account[:64]!r} does not exist.")
    return found


def instruct_all_shards(
    gateway: TradingGateway, control: OperatorStore, message: AdminInstruction
) -> Outcome:
    """Send to the log of every shard that lacks it. Wait, up to the reply timeout, until all have applied it.

    The engine applies such an instruction each time it reads it: a late repetition of a halt would halt a
    market that has been resumed since. `ConflictError`: the id belongs to another request. `TransientError`:
    no shard has it. `UnknownError`: some may have it; sending it again is safe.
    """
    applied = control.applied(message.id, getattr(message, "account", None))
    _refuse_reuse(message, applied.values())
    lacking = [shard for shard in range(gateway.shards) if shard not in applied]
    for sent, shard in enumerate(lacking):
        try:
            gateway.log.append(message, shard)
        except TransientError as error:
            if not sent and not applied:
                raise
            unsent = ", ".join(map(str, lacking[sent:]))
            raise UnknownError(_PARTLY_SENT.format(shards=unsent)) from error
    return _outcome(gateway, control, message)


def _refuse_reuse(message: Instruction, earlier: Iterable[Instruction]) -> None:
    if not all(is_same_request(message, one) for one in earlier):
        raise trading.key_reused()


def _outcome(gateway: TradingGateway, control: OperatorStore, message: AdminInstruction) -> Outcome:
    account = getattr(message, "account", None)
    deadline = time.monotonic() + gateway.reply_timeout_ms / 1000
    applied: set[int] = set()
    while True:
        with suppress(TransientError):  # the message is sent already; the next round asks again
            applied = set(control.applied(message.id, account))
        done = len(applied) == gateway.shards
        if done or time.monotonic() >= deadline:
            status: Literal["done", "pending"] = "done" if done else "pending"
            return Outcome(instruction=message.id, status=status, shards=sorted(applied))
        gateway.pause(_POLL_S)


def transfer(gateway: TradingGateway, control: OperatorStore, message: Deposit | Withdraw) -> Answer | None:
    """Deposit into an account or withdraw from it; `None` if no answer comes in time.

    `ConflictError` if the id belongs to another request about this account.
    """
    require_account(control, message.account)
    _refuse_reuse(message, control.applied(message.id, message.account).values())
    return trading.own_answer(gateway, message, trading.send(gateway, message))


def describe_act(message: AdminInstruction | UserInstruction) -> dict[str, str]:
    """What a security event says of an operator's instruction, before it is sent."""
    about = getattr(message, "symbol", None) or getattr(message, "account", None)
    found = {"act": KIND_BY_TYPE[type(message)], "about": str(about), "instruction": message.id}
    if isinstance(message, Deposit | Withdraw):
        found["amount"] = format_decimal(message.amount)
    return found


def set_role(control: OperatorStore, email: str, role: Literal["member", "operator"]) -> None:
    if not control.set_role(email.lower(), role):
        raise NotFoundError(f"The address {email!r} has not signed in yet.")
