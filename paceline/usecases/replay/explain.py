"""What happened to one trade or order, told as a person would tell it.

An `Explainer` looks over the engine's shoulder while a log is replayed and keeps a paragraph for each thing
that concerns the id: that of a trade or order, of a refusal (`shard:position:0`), or of an instruction.
"""

from typing import Final

from paceline.core.money import format_decimal
from paceline.core.times import to_datetime
from paceline.engine import Engine
from paceline.engine.refusals import SENTENCES
from paceline.messages.inbound import (
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    SETS_TRAILING_STOP,
    AmendTrade,
    CancelOrder,
    CloseTrade,
    CreateTrade,
    HaltMarket,
    Inbound,
    PlaceOrder,
    PriceUpdate,
    ResumeMarket,
)
from paceline.messages.json_form import to_json
from paceline.messages.outbound import ClosedOrder, OrderResponse, Outbound

_money = format_decimal

_FIRED: Final = {
    "stop_loss": "stop loss",
    "take_profit": "take profit",
    "trailing_stop": "trailing stop",
    "liquidation": "liquidation level",
}


class Explainer:
    def __init__(self, id_: str) -> None:
        self.id = id_
        self._paragraphs: list[str] = []
        self._symbol: str | None = None  # of what is open now
        self._created: CreateTrade | PlaceOrder | None = None
        self._levels: dict[str, int | None] = {}
        self._state_now = ""

    def see(self, engine: Engine, position: int, message: Inbound, outputs: list[Outbound]) -> None:
        """Take note of one message that was just applied."""
        for output in outputs:
            if isinstance(output, OrderResponse):
                self._see_response(output, position, message)
            elif isinstance(output, ClosedOrder) and self.id in (output.trade, output.order):
                self._see_closed(output, position, message)
        if self._symbol is not None:
            self._see_halts(position, message)
            self._look_at_levels(engine)

    def story(self) -> str:
        """The paragraphs; says so where the log holds nothing of that id."""
        if not self._paragraphs:
            return f"Nothing on this log concerns {self.id}."
        return "\n".join([*self._paragraphs, *([self._state_now] if self._symbol is not None else [])])

    def _tell(self, position: int, time: int, text: str) -> None:
        moment = to_datetime(time).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
        self._paragraphs.append(f"{moment} (message {position}): {text}")

    # ---- answers

    def _see_response(self, answer: OrderResponse, position: int, message: Inbound) -> None:
        about = (answer.id, answer.trade, answer.order, answer.instruction)
        refused_on_it = answer.status == "rejected" and _aims_at(message) == self.id
        if self.id not in about and not refused_on_it:
            return
        if answer.duplicate:
            text = f"instruction {answer.instruction} came again and got the same answer; nothing changed."
        elif answer.status == "rejected":
            reason = SENTENCES.get(answer.code or "", "no reason is known")
            text = f"{answer.account} asked {_wish(message)}, and was refused: {reason} ({answer.code})."
        else:
            text = self._accepted(answer, message)
        self._tell(position, answer.time, text)

    def _accepted(self, answer: OrderResponse, message: Inbound) -> str:
        if isinstance(message, CreateTrade):
            self._begin(message)
            return _opened(answer, message)
        if isinstance(message, PlaceOrder):
            self._begin(message)
            return _placed(answer, message)
        if isinstance(message, AmendTrade):
            return f"{answer.account} amended the trade: {_amendment(message)}."
        return f"{answer.account} asked {_wish(message)}, and it was accepted."

    def _begin(self, message: CreateTrade | PlaceOrder) -> None:
        self._symbol = message.symbol
        self._created = message

    # ---- endings

    def _see_closed(self, closed: ClosedOrder, position: int, message: Inbound) -> None:
        if closed.trade is not None:
            text = self._trade_closed(closed, message)
        else:
            text = _order_closed(closed, message)
        self._tell(position, closed.time, text)
        if not closed.remaining:
            self._symbol = None

    def _trade_closed(self, closed: ClosedOrder, message: Inbound) -> str:
        profit, margin, fee = closed.profit or 0, closed.margin or 0, closed.fee or 0
        left = margin + profit
        watched = "bid" if closed.side == "long" else "ask"
        part = f"a part; {_money(closed.remaining)} stays open" if closed.remaining else "all that was open"
        parts = [
            f"{self._why_closed(closed, message)} {_money(closed.quantity)} closed at "
            f"{_money(closed.exit or 0)}, the {watched} ({part}).",
            f"It was entered at {_money(closed.entry or 0)}, so the {_result(profit)}.",
        ]
        if left >= 0:
            parts.append(
                f"Of the margin of {_money(margin)} USD {_money(left)} USD were left; after a fee of "
                f"{_money(fee)} USD, {_money(left - fee)} USD went back to the cash of {closed.account}."
            )
        else:
            parts.append(
                f"That is more than the margin of {_money(margin)} USD: nothing went back, no fee was "
                f"taken, and the insurance paid the missing {_money(-left)} USD."
            )
        return " ".join(parts)

    def _why_closed(self, closed: ClosedOrder, message: Inbound) -> str:
        if not isinstance(message, PriceUpdate):
            return f"{closed.account} closed it:"
        name = _FIRED.get(closed.reason, closed.reason)
        level = self._levels.get(closed.reason)
        fell = (closed.side == "long") != (closed.reason == "take_profit")
        price = (
            f"the price {'fell' if fell else 'rose'} to {_money(message.bid)} bid, {_money(message.ask)} ask"
        )
        if level is None:
            return f"{price} and fired the {name}:"
        gap = abs((closed.exit or 0) - level)
        beyond = f", {_money(gap)} beyond it" if gap else ""
        return f"{price}, which fired the {name} at {_money(level)}{beyond}:"

    # ---- while it is open

    def _see_halts(self, position: int, message: Inbound) -> None:
        if isinstance(message, (HaltMarket, ResumeMarket)) and message.symbol == self._symbol:
            halted = isinstance(message, HaltMarket)
            what = "was halted: no level moves or fires" if halted else "was resumed: the next price decides"
            self._tell(position, message.time, f"the market {self._symbol} {what}.")

    def _look_at_levels(self, engine: Engine) -> None:
        """Levels as they stand, for when one of them fires, and for the end of the story."""
        if trade := engine.open_trade(self.id):
            trailing = engine.trailing_level(trade)
            self._levels = {
                "liquidation": trade.liquidation,
                "stop_loss": trade.stop_loss,
                "take_profit": trade.take_profit,
                "trailing_stop": trailing,
            }
            levels = ", ".join(
                f"{_FIRED[name]} {_money(level)}" for name, level in self._levels.items() if level is not None
            )
            self._state_now = f"It is still open, with {_money(trade.quantity)} ({levels or 'no levels'})."
        elif order := engine.resting_order(self.id):
            self._state_now = f"It is still resting, with {_money(order.quantity)}."


def _aims_at(message: Inbound) -> str | None:
    if isinstance(message, (AmendTrade, CloseTrade)):
        return message.trade
    return message.order if isinstance(message, CancelOrder) else None


def _opened(answer: OrderResponse, message: CreateTrade) -> str:
    long = message.side == "long"
    parts = [
        f"{answer.account} opened a {message.side} of {_money(answer.quantity or 0)} on {message.symbol} at "
        f"{_money(answer.price or 0)}, the {'ask' if long else 'bid'}, with a margin of "
        f"{_money(message.margin)} USD at leverage {message.leverage}.",
        f"The fee was {_money(answer.fee or 0)} USD.",
    ]
    if answer.liquidation is None:
        parts.append("No price is low enough to liquidate it.")
    else:
        reach = "falls" if long else "rises"
        watched = "bid" if long else "ask"
        parts.append(f"It is liquidated when the {watched} {reach} to {_money(answer.liquidation)}.")
    levels = _level_words(message.stop_loss, message.take_profit, message.trailing_stop)
    if levels:
        parts.append(f"It was given {levels}.")
    return " ".join(parts)


def _level_words(stop_loss: int | None, take_profit: int | None, trailing_stop: int | None) -> str:
    words = []
    if stop_loss is not None:
        words.append(f"a stop loss at {_money(stop_loss)}")
    if take_profit is not None:
        words.append(f"a take profit at {_money(take_profit)}")
    if trailing_stop is not None:
        words.append(f"a trailing stop {_money(trailing_stop)} behind the best price")
    return ", ".join(words)


def _amendment(message: AmendTrade) -> str:
    named = (
        (SETS_STOP_LOSS, "stop loss", message.stop_loss),
        (SETS_TAKE_PROFIT, "take profit", message.take_profit),
        (SETS_TRAILING_STOP, "trailing stop distance", message.trailing_stop),
    )
    words = [
        f"{name} {'removed' if value is None else 'now ' + _money(value)}"
        for bit, name, value in named
        if message.sets & bit
    ]
    return ", ".join(words) or "naming no level, which changes nothing"


def _placed(answer: OrderResponse, message: PlaceOrder) -> str:
    kind = message.order_type.replace("_", " ")
    what = f"{message.side} {_money(message.quantity)} on {message.symbol}"
    order = f"{answer.account} placed a {kind} order to {what}"
    if answer.price is not None:
        price, fee = _money(answer.price), _money(answer.fee or 0)
        return f"{order}; it was filled at once at {price}, for a fee of {fee} USD."
    if message.order_type == "trailing_stop":
        where = f"{_money(message.distance or 0)} behind the best price"
    else:
        where = f"at {_money(message.price or 0)}"
    partner = f", paired with {message.oco_with} (one cancels the other)" if message.oco_with else ""
    return f"{order}, to wait {where}{partner}."


def _wish(message: Inbound) -> str:
    """What an instruction asked for, in its own words."""
    fields = to_json(message)
    kind = str(fields.get("kind", "")).replace("_", " ")
    asked = {
        name: value for name, value in fields.items() if name not in ("type", "kind", "id", "time", "account")
    }
    details = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asked.items())
    return f"to {kind}" + (f" ({details})" if details else "")


def _order_closed(closed: ClosedOrder, message: Inbound) -> str:
    if closed.reason == "filled":
        cause = _price_words(message)
        return (
            f"{cause}the order to {closed.side} {_money(closed.quantity)} was filled at "
            f"{_money(closed.exit or 0)}, for a fee of {_money(closed.fee or 0)} USD."
        )
    if closed.reason == "cancelled":
        asked = isinstance(message, CancelOrder) and message.order == closed.order
        return "the order was cancelled" + ("." if asked else ", because its partner ended.")
    reason = SENTENCES.get(closed.code or "", "no reason is known")
    return f"{_price_words(message)}the order should have been filled, but died: {reason} ({closed.code})."


def _price_words(message: Inbound) -> str:
    if not isinstance(message, PriceUpdate):
        return ""
    return f"the price came to {_money(message.bid)} bid, {_money(message.ask)} ask, and "


def _result(profit: int) -> str:
    if profit >= 0:
        return f"profit before the fee was {_money(profit)} USD"
    return f"loss before the fee was {_money(-profit)} USD"
