"""Effects → Redis commands, in the order in which they must run. Pure: a command is a tuple of its words.

For each message, balances, trades and orders come first and the reply last, so a client that has the reply
reads its own write.
"""

from typing import Any, Final

import msgspec

from paceline.adapters.redis import keys
from paceline.adapters.redis.trading.router_store import Command
from paceline.core.money import format_decimal, parse_decimal
from paceline.core.times import DAY_US, SECOND_US
from paceline.domain.trading.open_trade import OpenTrade, amended, opened, reduced
from paceline.messages.inbound import AmendTrade, CreateTrade, PlaceOrder
from paceline.messages.json_form import amount_fields, encode_line, output_to_json
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, Effect, OrderResponse

KEPT_US: Final = DAY_US
_KEPT_S: Final = KEPT_US // SECOND_US
# Entries of an account's stream. One takes about 350 bytes, a full stream 0.35 MB: Redis' 512 MB hold the
# streams of 1,000 accounts that all fill them, and without this limit one account could fill Redis in a day.
MAX_EVENTS: Final = 1_000

_TRADE_AMOUNTS: Final = frozenset(amount_fields(OpenTrade))


def _text(data: dict[str, Any]) -> str:
    return encode_line(data).decode()


def balance_command(update: BalanceUpdate, position: int, ordinal: int) -> Command:
    """Sets the balance of an account; the fence on the router's position keeps older ones out."""
    data = output_to_json(update) | {"position": position, "ordinal": ordinal}
    return ("SET", keys.balance(update.account), _text(data))


def trade_command(trade: OpenTrade) -> Command:
    """Sets an open trade."""
    data: dict[str, Any] = {}
    for name in trade.__struct_fields__:
        value = getattr(trade, name)
        data[name] = format_decimal(value) if name in _TRADE_AMOUNTS and value is not None else value
    return ("HSET", keys.trades(trade.account), trade.trade, _text(data))


def read_trade(text: bytes) -> OpenTrade:
    """The trade that `trade_command` stored, perhaps before `OpenTrade` had its newest fields."""
    data = msgspec.json.decode(text)
    for name in _TRADE_AMOUNTS:
        if data.get(name) is not None:
            data[name] = parse_decimal(data[name])
    return OpenTrade(**data)


def order_command(message: PlaceOrder, order: str, opened_us: int, position: int) -> Command:
    """Sets a resting order, with its price or its distance, depending on its type."""
    price = None if message.order_type == "trailing_stop" else message.price
    distance = message.distance if message.order_type == "trailing_stop" else None
    data = {
        "order": order,
        "symbol": message.symbol,
        "side": message.side,
        "order_type": message.order_type,
        "quantity": format_decimal(message.quantity),
        "price": None if price is None else format_decimal(price),
        "distance": None if distance is None else format_decimal(distance),
        "oco_with": message.oco_with,
        "opened": opened_us,
        "position": position,
    }
    return ("HSET", keys.orders(message.account), order, _text(data))


def event_id(position: int, ordinal: int) -> str:
    """Entry id of an output in its user's stream. Redis has no id 0-0, so position 0 counts from 1."""
    return f"{position}-{ordinal if position else ordinal + 1}"


def event_commands(effect: Effect) -> list[Command]:
    """Appends the outputs to their users' streams, then publishes the answer.

    Redis may delete all but the newest `MAX_EVENTS` entries of a stream.
    """
    found: list[Command] = []
    reply: list[Command] = []
    for ordinal, output in enumerate(effect.outputs):
        data = output_to_json(output)
        entry, text = event_id(effect.position, ordinal), _text(data)
        found.append(("XADD", keys.events(output.account), "MAXLEN", "~", MAX_EVENTS, entry, "json", text))
        if ordinal == 0 and type(output) is OrderResponse:
            reply = [reply_command(data, effect.message.time)]
    return found + reply


def reply_command(answer: dict[str, Any], stamped_us: int) -> Command:
    """Publishes an answer, given in its JSON form, to all subscribers.

    `stamped_us` is the `time` of its instruction. Several instructions may have one id, each with its answer.
    """
    return ("PUBLISH", keys.REPLIES, _text(answer | {"stamped": stamped_us}))


def events_kept_commands(effects: list[Effect], first_kept: int) -> list[Command]:
    """Bounds the age of the streams that these effects appended to: 24 h.

    Redis may delete their entries of positions below `first_kept`, and a stream that nothing is appended to.
    XADD can trim by length or by age, not by both, so the age has a command of its own.
    """
    accounts = dict.fromkeys(output.account for effect in effects for output in effect.outputs)
    found: list[Command] = []
    for account in accounts:
        if first_kept:
            found.append(("XTRIM", keys.events(account), "MINID", "~", f"{first_kept}-0"))
        found.append(("EXPIRE", keys.events(account), _KEPT_S))
    return found


def trades_wanted(effects: list[Effect]) -> set[tuple[str, str]]:
    """`(account, trade)` of the trades that these effects reduce or amend."""
    wanted: set[tuple[str, str]] = set()
    for effect in effects:
        for output in effect.outputs:
            if type(output) is ClosedOrder and output.trade is not None and output.remaining:
                wanted.add((output.account, output.trade))
        if type(effect.message) is AmendTrade:
            wanted.add((effect.message.account, effect.message.trade))
    return wanted


def _was_carried_out(response: OrderResponse) -> bool:
    return response.status == "accepted" and not response.duplicate


def state_commands(effect: Effect, trades: dict[str, OpenTrade]) -> list[Command]:
    """Update balances, trades and orders by this effect.

    `trades` holds the trades that `trades_wanted` names, as they were before; it is updated.
    """
    found: list[Command] = []
    for ordinal, output in enumerate(effect.outputs):
        if type(output) is BalanceUpdate:
            found.append(balance_command(output, effect.position, ordinal))
        elif type(output) is ClosedOrder:
            found.extend(_closed(effect, output, trades))
        elif type(output) is OrderResponse and _was_carried_out(output):
            found.extend(_accepted(effect, output, trades))
    return found


def _closed(effect: Effect, closed: ClosedOrder, trades: dict[str, OpenTrade]) -> list[Command]:
    if closed.trade is None:
        assert closed.order is not None
        return [("HDEL", keys.orders(closed.account), closed.order)]
    if not closed.remaining:
        return [("HDEL", keys.trades(closed.account), closed.trade)]
    trade = reduced(trades[closed.trade], closed, effect.position)
    trades[closed.trade] = trade
    return [trade_command(trade)]


def _accepted(effect: Effect, response: OrderResponse, trades: dict[str, OpenTrade]) -> list[Command]:
    message = effect.message
    if type(message) is PlaceOrder and response.order is not None:
        return [order_command(message, response.order, response.time, effect.position)]
    if type(message) is CreateTrade:
        trade = opened(message, response, effect.position)
    elif type(message) is AmendTrade:
        trade = amended(trades[message.trade], message, effect.position)
    else:
        return []
    trades[trade.trade] = trade
    return [trade_command(trade)]
