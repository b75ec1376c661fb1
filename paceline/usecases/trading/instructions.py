"""Handing an instruction to the engine and fetching its answer."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from paceline.core.errors import NotFoundError, TransientError
from paceline.core.ids import shard_of
from paceline.core.times import DAY_US
from paceline.messages.inbound import CreateTrade, OpenAccount, PlaceOrder, User
from paceline.ports.market import Prices
from paceline.ports.trading import Answer, Answers, InstructionLog, Replies, Wait

OPENING = "open-"
_POLL_S = 0.05


@dataclass(frozen=True)
class Desk:
    """What trading needs from outside. `now_us` stamps messages; nothing in a request does. `pause` waits so
    many seconds."""

    log: InstructionLog
    replies: Replies
    answers: Answers
    prices: Prices
    now_us: Callable[[], int]
    pause: Callable[[float], None]
    shards: int
    reply_timeout_ms: int
    default_slippage_bps: int
    initial_balance: int


def submit(desk: Desk, message: User) -> Answer | None:
    """The engine's answer, or `None` if there is none in time (read it later with `find`).

    `TransientError` is raised only where the message certainly is not on the log. An account that the
    engine does not know yet is opened, and the message sent again: it has not remembered the first.
    """
    answer = send(desk, message)
    if answer is not None and answer.code == "ACCOUNT_NOT_FOUND" and not isinstance(message, OpenAccount):
        send(desk, opening_of(desk, message.account))
        return send(desk, msgspec.structs.replace(message, time=desk.now_us()))
    return answer


def open_account(desk: Desk, account: str) -> Answer | None:
    """Open the engine account of a member. Harmless when it is open already."""
    return send(desk, opening_of(desk, account))


def opening_of(desk: Desk, account: str) -> OpenAccount:
    """The one instruction that opens an account, always under the same id."""
    return OpenAccount(
        id=OPENING + account, time=desk.now_us(), account=account, initial_balance=desk.initial_balance
    )


def bounded(desk: Desk, message: CreateTrade | PlaceOrder) -> CreateTrade | PlaceOrder:
    """A market order that leaves open what price it expects gets the last one and the default bound.

    `TransientError` when the last price cannot be read: better no order than one without a bound.
    """
    if isinstance(message, PlaceOrder) and message.order_type != "market":
        return message
    expected, slippage = message.expected_price, message.max_slippage_bps
    if expected is None:
        price = desk.prices.last(message.symbol)
        if price is None:
            return message  # no price of this symbol was ever seen: the engine will say what it thinks
        expected = price.ask if message.side in ("long", "buy") else price.bid
    if slippage is None:
        slippage = desk.default_slippage_bps
    return msgspec.structs.replace(message, expected_price=expected, max_slippage_bps=slippage)


def find(desk: Desk, account: str, instruction: str) -> Answer | None:
    """The answer to an earlier instruction, `None` while it is pending; `NotFoundError` if unknown."""
    answer = desk.answers.find(account, instruction)
    if answer is None and not desk.replies.is_pending(account, instruction):
        raise NotFoundError("There is no such instruction of yours.")
    return answer


def send(desk: Desk, message: User) -> Answer | None:
    """Hand a message to its account's shard and wait for the answer, `None` if there is none in time."""
    with desk.replies.expect(message.account, message.id) as wait:
        desk.log.append(message, shard_of(message.account, desk.shards))
        answer = _answer_in_time(desk, message, wait)
    if answer is None:
        with suppress(TransientError):  # then it is unknown until the engine has answered
            desk.replies.remember_pending(message.account, message.id)
    return answer


def _answer_in_time(desk: Desk, message: User, wait: Wait) -> Answer | None:
    """From here on the message may be on the log, so that a failing store means "no answer yet"."""
    deadline = time.monotonic() + desk.reply_timeout_ms / 1000
    try:
        return wait(desk.reply_timeout_ms) or _stored(desk, message)
    except TransientError:
        answer = _stored(desk, message)
        while answer is None and time.monotonic() < deadline:
            desk.pause(_POLL_S)
            answer = _stored(desk, message)
        return answer


def _stored(desk: Desk, message: User) -> Answer | None:
    # The engine remembers ids for a day: what is older does not answer this message.
    try:
        return desk.answers.find(message.account, message.id, message.time - DAY_US)
    except TransientError:
        return None
