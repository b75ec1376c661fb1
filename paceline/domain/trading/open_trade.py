"""The state of an open trade, as the messages on `engine.out` report it. Writer and router both use it.

Levels are those that instructions set: a trailing level moves inside the engine without an output.
"""

from msgspec import Struct
from msgspec.structs import replace

from paceline.messages.inbound import (
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    SETS_TRAILING_STOP,
    AmendTrade,
    Amount,
    CreateTrade,
)
from paceline.messages.outbound import ClosedOrder, OrderResponse


class OpenTrade(Struct, frozen=True, gc=False):
    """`quantity` and `margin` are what is still open; `fee` is the entry fee.

    `position` is that of the message that last changed the trade; `trailing_stop` is a distance.
    """

    trade: str
    account: str
    symbol: str
    side: str
    leverage: int
    entry: Amount
    quantity: Amount
    margin: Amount
    fee: Amount
    stop_loss: Amount | None
    take_profit: Amount | None
    trailing_stop: Amount | None
    liquidation: Amount | None
    opened: int
    position: int


def opened(message: CreateTrade, response: OrderResponse, position: int) -> OpenTrade:
    """The trade opened by an accepted `create_trade`."""
    assert response.trade is not None
    assert response.price is not None
    assert response.quantity is not None
    assert response.fee is not None
    return OpenTrade(
        trade=response.trade,
        account=message.account,
        symbol=message.symbol,
        side=message.side,
        leverage=message.leverage,
        entry=response.price,
        quantity=response.quantity,
        margin=message.margin,
        fee=response.fee,
        stop_loss=message.stop_loss,
        take_profit=message.take_profit,
        trailing_stop=message.trailing_stop,
        liquidation=response.liquidation,
        opened=response.time,
        position=position,
    )


def amended(trade: OpenTrade, message: AmendTrade, position: int) -> OpenTrade:
    """The trade after an accepted `amend_trade`, which replaces the levels that the message names."""
    sets = message.sets
    return replace(
        trade,
        stop_loss=message.stop_loss if sets & SETS_STOP_LOSS else trade.stop_loss,
        take_profit=message.take_profit if sets & SETS_TAKE_PROFIT else trade.take_profit,
        trailing_stop=message.trailing_stop if sets & SETS_TRAILING_STOP else trade.trailing_stop,
        position=position,
    )


def reduced(trade: OpenTrade, closed: ClosedOrder, position: int) -> OpenTrade:
    """The trade after a `closed_order` that closed part of it."""
    assert closed.margin is not None
    return replace(trade, quantity=closed.remaining, margin=trade.margin - closed.margin, position=position)
