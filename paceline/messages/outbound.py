"""Messages of `engine.out`. Fields are in wire order; numbers are as in `inbound`.

A Kafka record of `engine.out` is a batch of `Effect`s. Each is an input message that had an effect or an
answer, with its position in the shard's log and its outputs in order of their ordinals.
"""

from typing import Literal

from msgspec import Struct

from paceline.messages.inbound import Amount, Inbound

Status = Literal["accepted", "rejected"]
Reason = Literal[
    "user",
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "liquidation",
    "filled",
    "cancelled",
    "rejected",
]


class OrderResponse(Struct, array_like=True, frozen=True, gc=False, tag=1):
    id: str
    time: int
    instruction: str
    account: str
    status: Status
    code: str | None
    trade: str | None
    order: str | None
    price: Amount | None
    quantity: Amount | None
    fee: Amount | None
    liquidation: Amount | None
    duplicate: bool


class BalanceUpdate(Struct, array_like=True, frozen=True, gc=False, tag=2):
    """`balances` are free, `locked_balances` are locked by resting sells; zero entries are left out."""

    id: str
    time: int
    account: str
    cash: Amount
    margin: Amount
    locked: Amount
    balances: dict[str, int]
    locked_balances: dict[str, int]


class ClosedOrder(Struct, array_like=True, frozen=True, gc=False, tag=3):
    """The end of a trade, of part of a trade (`remaining` > 0), or of a spot order."""

    id: str
    time: int
    account: str
    trade: str | None
    order: str | None
    symbol: str
    side: Literal["long", "short", "buy", "sell"]
    quantity: Amount
    entry: Amount | None
    exit: Amount | None
    profit: Amount | None
    fee: Amount | None
    margin: Amount | None
    leverage: int | None
    reason: Reason
    code: str | None
    remaining: Amount
    opened: int
    closed: int


Outbound = OrderResponse | BalanceUpdate | ClosedOrder


class Effect(Struct, array_like=True, frozen=True, gc=False):
    """A message that had an effect or an answer, with its position in the shard's log and its outputs.

    `time` is the log time at that message, so a reader needs no clock.
    """

    position: int
    time: int
    message: Inbound
    outputs: list[Outbound]
