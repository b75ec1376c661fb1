"""Sending an instruction to the engine and receiving its answer."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from paceline.core.errors import ConflictError, NotFoundError, TransientError
from paceline.core.ids import shard_of
from paceline.core.times import DAY_US, HOUR_US
from paceline.domain.trading.idempotency import is_same_request
from paceline.messages.inbound import CreateTrade, OpenAccount, PlaceOrder, UserInstruction
from paceline.ports.market import Prices
from paceline.ports.trading import (
    Answer,
    AnsweredInstruction,
    AnswerStore,
    InstructionLog,
    Replies,
    Wait,
)

OPENING_ID_PREFIX = "open-"
_POLL_S = 0.05
# The engine compares log times, this module the times in messages, which may be of another clock.
_CLOCKS_DIFFER_US = HOUR_US


@dataclass(frozen=True)
class TradingGateway:
    """The stores and settings that trading uses. `now_us` gives messages their time; requests never do.
    `pause` waits for seconds."""

    log: InstructionLog
    replies: Replies
    answers: AnswerStore
    prices: Prices
    now_us: Callable[[], int]
    pause: Callable[[float], None]
    shards: int
    reply_timeout_ms: int
    default_slippage_bps: int
    initial_balance: int


def execute(gateway: TradingGateway, asked: UserInstruction) -> Answer | None:
    """The answer to what a client asks for; `None` if it does not come in time (read it later with `find`).

    A market order gets the default slippage bound. `ConflictError` if the id belongs to another request.
    `TransientError` means that nothing is on the log.
    """
    message = with_slippage_bound(gateway, asked) if isinstance(asked, CreateTrade | PlaceOrder) else asked
    return own_answer(gateway, asked, submit(gateway, message))


def own_answer(gateway: TradingGateway, asked: UserInstruction, answer: Answer | None) -> Answer | None:
    """The engine's answer, if it belongs to what was asked for.

    The engine answers a repeated id with its first answer, whatever the message says. A duplicate is
    therefore compared with the stored instruction: `ConflictError` if that asks for something else, `None`
    if it is not stored within the reply timeout.
    """
    if answer is None or not answer.duplicate:
        return answer
    deadline = time.monotonic() + gateway.reply_timeout_ms / 1000
    while (first := _first_instruction(gateway, asked, answer)) is None:
        if time.monotonic() >= deadline:
            _remember_pending(gateway, asked)
            return None
        gateway.pause(_POLL_S)
    if not is_same_request(asked, first.message):
        raise key_reused()
    # An answer that was read from the store is returned as it stands on the log.
    return first.answer if first.answer.id == answer.id else answer


def key_reused() -> ConflictError:
    """The error for an id that belongs to another request."""
    return ConflictError(
        "This Idempotency-Key belongs to another request. Use a new key for each new request.",
        code="IDEMPOTENCY_KEY_REUSED",
    )


def _first_instruction(
    gateway: TradingGateway, asked: UserInstruction, answer: Answer
) -> AnsweredInstruction | None:
    """The stored instruction and answer that this duplicate repeats; `None` if they are not stored yet."""
    try:
        found = gateway.answers.find(asked.account, asked.id, asked.time - DAY_US - _CLOCKS_DIFFER_US)
    except TransientError:
        return None
    if found is None:
        return None
    repeated = msgspec.structs.replace(found.answer, id=answer.id, time=answer.time, duplicate=True)
    return found if repeated == answer else None


def submit(gateway: TradingGateway, message: UserInstruction) -> Answer | None:
    """The engine's answer; `None` if it does not come in time (read it later with `find`).

    `TransientError` means that the message is not on the log. If the engine does not know the account, it is
    opened and the message is sent again: the engine does not store the ids of unknown accounts.
    """
    answer = send(gateway, message)
    if answer is not None and answer.code == "ACCOUNT_NOT_FOUND" and not isinstance(message, OpenAccount):
        send(gateway, opening_instruction(gateway, message.account))
        return send(gateway, msgspec.structs.replace(message, time=gateway.now_us()))
    return answer


def open_account(gateway: TradingGateway, account: str) -> Answer | None:
    """Open the engine account of a member. It is safe to call for an open account."""
    return send(gateway, opening_instruction(gateway, account))


def opening_instruction(gateway: TradingGateway, account: str) -> OpenAccount:
    """The instruction that opens an account. Its id is always the same."""
    return OpenAccount(
        id=OPENING_ID_PREFIX + account,
        time=gateway.now_us(),
        account=account,
        initial_balance=gateway.initial_balance,
    )


def with_slippage_bound(
    gateway: TradingGateway, message: CreateTrade | PlaceOrder
) -> CreateTrade | PlaceOrder:
    """Give a market order without an expected price the last price, and one without a bound the default.

    `TransientError` if the last price cannot be read: without a bound it could execute at any price.
    """
    if isinstance(message, PlaceOrder) and message.order_type != "market":
        return message
    expected, slippage = message.expected_price, message.max_slippage_bps
    if expected is None:
        price = gateway.prices.last(message.symbol)
        if price is None:
            return message  # the symbol never had a price: the engine refuses the order
        expected = price.ask if message.side in ("long", "buy") else price.bid
    if slippage is None:
        slippage = gateway.default_slippage_bps
    return msgspec.structs.replace(message, expected_price=expected, max_slippage_bps=slippage)


def find(gateway: TradingGateway, account: str, instruction: str) -> Answer | None:
    """The answer to an earlier instruction; `None` while it is pending; `NotFoundError` if it is unknown."""
    found = gateway.answers.find(account, instruction)
    if found is None and not gateway.replies.is_pending(account, instruction):
        raise NotFoundError("The account has no such instruction.")
    return None if found is None else found.answer


def send(gateway: TradingGateway, message: UserInstruction) -> Answer | None:
    """Send a message to its account's shard and wait for the answer; `None` if it does not come in time."""
    with gateway.replies.expect(message.account, message.id, message.time) as wait:
        gateway.log.append(message, shard_of(message.account, gateway.shards))
        answer = _answer_in_time(gateway, message, wait)
    if answer is None:
        _remember_pending(gateway, message)
    return answer


def _remember_pending(gateway: TradingGateway, message: UserInstruction) -> None:
    with suppress(TransientError):  # then `find` does not know it until the writer has stored the answer
        gateway.replies.remember_pending(message.account, message.id)


def _answer_in_time(gateway: TradingGateway, message: UserInstruction, wait: Wait) -> Answer | None:
    """The message may be on the log already, so a failing store means "no answer yet", not an error."""
    deadline = time.monotonic() + gateway.reply_timeout_ms / 1000
    try:
        return wait(gateway.reply_timeout_ms) or _stored(gateway, message)
    except TransientError:
        answer = _stored(gateway, message)
        while answer is None and time.monotonic() < deadline:
            gateway.pause(_POLL_S)
            answer = _stored(gateway, message)
        return answer


def _stored(gateway: TradingGateway, message: UserInstruction) -> Answer | None:
    # The engine stores ids for a day: an older answer does not belong to this message.
    try:
        found = gateway.answers.find(message.account, message.id, message.time - DAY_US)
    except TransientError:
        return None
    return None if found is None else _answer_for(message, found)


def _answer_for(message: UserInstruction, found: AnsweredInstruction) -> Answer | None:
    """The stored answer as the engine gives it to `message`: a duplicate if it is that of an earlier one."""
    if found.message.time == message.time:
        return found.answer
    if found.answer.code == "ACCOUNT_NOT_FOUND":
        return None  # the engine does not store ids of accounts that it does not know
    return msgspec.structs.replace(found.answer, duplicate=True)
