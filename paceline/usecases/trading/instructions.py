"""Sending an instruction to the engine and receiving its answer."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from paceline.core.errors import NotFoundError, TransientError
from paceline.core.ids import shard_of
from paceline.core.times import DAY_US
from paceline.messages.inbound import CreateTrade, OpenAccount, PlaceOrder, UserInstruction
from paceline.ports.market import Prices
from paceline.ports.trading import Answer, AnswerStore, InstructionLog, Replies, Wait

OPENING_ID_PREFIX = "open-"
_POLL_S = 0.05


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
    answer = gateway.answers.find(account, instruction)
    if answer is None and not gateway.replies.is_pending(account, instruction):
        raise NotFoundError("The account has no such instruction.")
    return answer


def send(gateway: TradingGateway, message: UserInstruction) -> Answer | None:
    """Send a message to its account's shard and wait for the answer; `None` if it does not come in time."""
    with gateway.replies.expect(message.account, message.id) as wait:
        gateway.log.append(message, shard_of(message.account, gateway.shards))
        answer = _answer_in_time(gateway, message, wait)
    if answer is None:
        with suppress(TransientError):  # then `find` does not know it until the engine has answered
            gateway.replies.remember_pending(message.account, message.id)
    return answer


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
        return gateway.answers.find(message.account, message.id, message.time - DAY_US)
    except TransientError:
        return None
