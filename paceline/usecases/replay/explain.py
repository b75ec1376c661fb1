"""The history of one trade or order, in sentences.

An `Explainer` observes the engine while a log is replayed, and writes a paragraph for each event of an id: of
a trade, an order, a refusal (`shard:position:0`) or an instruction.
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

_LEVEL_NAMES: Final = {
    "stop_loss": "stop loss",
    "take_profit": "take profit",
    "trailing_stop": "trailing stop",
    "liquidation": "liquidation level",
}


class Explainer:
    def __init__(self, id_: str) -> None:
        self.id = id_
        self._paragraphs: list[str] = []
        self._symbol: str | None = None  # of the trade or order, while it is open
        self._created: CreateTrade | PlaceOrder | None = None
        self._levels: dict[str, int | None] = {}
        self._current_state = ""

    def see(self, engine: Engine, position: int, message: Inbound, outputs: list[Outbound]) -> None:
        """Record one message that the engine has just applied."""
        for output in outputs:
            if isinstance(output, OrderResponse):
                self._record_response(output, position, message)
            elif isinstance(output, ClosedOrder) and self.id in (output.trade, output.order):
                self._record_closing(output, position, message)
        if self._symbol is not None:
            self._record_halt(position, message)
            self._record_levels(engine)

    def story(self) -> str:
        """The paragraphs; a sentence that says so if the log has no event of the id."""
        if not self._paragraphs:
            return f"Nothing on this log concerns {self.id}."
        return "\n".join([*self._paragraphs, *([self._current_state] if self._symbol is not None else [])])

    def _add(self, position: int, time: int, text: str) -> None:
        moment = to_datetime(time).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
        self._paragraphs.append(f"{moment} (message {position}): {text}")

    # ---- answers

    def _record_response(self, answer: OrderResponse, position: int, message: Inbound) -> None:
        ids = (answer.id, answer.trade, answer.order, answer.instruction)
        is_refusal_for_it = answer.status == "rejected" and _target_of(message) == self.id
        if self.id not in ids and not is_refusal_for_it:
            return
        if answer.duplicate:
            text = f"instruction {answer.instruction} came again and got the same answer; nothing changed."
        elif answer.status == "rejected":
            reason = SENTENCES.get(answer.code or "", "the reason is unknown")
            text = f"{answer.account} asked {_request(message)}, and was refused: {reason} ({answer.code})."
        else:
            text = self._accepted(answer, message)
        self._add(position, answer.time, text)

    def _accepted(self, answer: OrderResponse, message: Inbound) -> str:
        if isinstance(message, CreateTrade):
            self._begin(message)
            return _opened(answer, message)
        if isinstance(message, PlaceOrder):
            self._begin(message)
            return _placed(answer, message)
        if isinstance(message, AmendTrade):
            return f"{answer.account} amended the trade: {_amendment(message)}."
        return f"{answer.account} asked {_request(message)}, and it was accepted."

    def _begin(self, message: CreateTrade | PlaceOrder) -> None:
        self._symbol = message.symbol
        self._created = message

    # ---- closings

    def _record_closing(self, closed: ClosedOrder, position: int, message: Inbound) -> None:
        if closed.trade is not None:
            text = self._trade_closed(closed, message)
        else:
            text = _order_closed(closed, message)
        self._add(position, closed.time, text)
        if not closed.remaining:
            self._symbol = None

    def _trade_closed(self, closed: ClosedOrder, message: Inbound) -> str:
        profit, margin, fee = closed.profit or 0, closed.margin or 0, closed.fee or 0
        left = margin + profit
        watched = "bid" if closed.side == "long" else "ask"
        part = f"a part; {_money(closed.remaining)} stays open" if closed.remaining else "the whole trade"
        sentences = [
            f"{self._why_closed(closed, message)} {_money(closed.quantity)} closed at "
            f"{_money(closed.exit or 0)}, the {watched} ({part}).",
            f"It was entered at {_money(closed.entry or 0)}, so the {_result(profit)}.",
        ]
        if left >= 0:
            sentences.append(
                f"Of the margin of {_money(margin)} USD, {_money(left)} USD was left; after a fee of "
                f"{_money(fee)} USD, {_money(left - fee)} USD was returned to the cash of {closed.account}."
            )
        else:
            sentences.append(
                f"That is more than the margin of {_money(margin)} USD: nothing was returned, no fee was "
                f"charged, and the insurance paid the missing {_money(-left)} USD."
            )
        return " ".join(sentences)

    def _why_closed(self, closed: ClosedOrder, message: Inbound) -> str:
        if not isinstance(message, PriceUpdate):
            return f"{closed.account} closed it:"
        name = _LEVEL_NAMES.get(closed.reason, closed.reason)
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

    def _record_halt(self, position: int, message: Inbound) -> None:
        if isinstance(message, (HaltMarket, ResumeMarket)) and message.symbol == self._symbol:
            halted = isinstance(message, HaltMarket)
            event = "was halted: no level moves or fires" if halted else "was resumed: the next price decides"
            self._add(position, message.time, f"the market {self._symbol} {event}.")

    def _record_levels(self, engine: Engine) -> None:
        """Keep the current levels, for the text when one of them fires and for the last line."""
        if trade := engine.open_trade(self.id):
            trailing = engine.trailing_level(trade)
            self._levels = {
                "liquidation": trade.liquidation,
                "stop_loss": trade.stop_loss,
                "take_profit": trade.take_profit,
                "trailing_stop": trailing,
            }
            levels = ", ".join(
                f"{_LEVEL_NAMES[name]} {_money(level)}"
                for name, level in self._levels.items()
                if level is not None
            )
            self._current_state = (
                f"It is still open, with {_money(trade.quantity)} ({levels or 'no levels'})."
            )
        elif order := engine.resting_order(self.id):
            self._current_state = f"It is still resting, with {_money(order.quantity)}."


def _target_of(message: Inbound) -> str | None:
    """The trade or order that an instruction names."""
    if isinstance(message, (AmendTrade, CloseTrade)):
        return message.trade
    return message.order if isinstance(message, CancelOrder) else None


def _opened(answer: OrderResponse, message: CreateTrade) -> str:
    long = message.side == "long"
    sentences = [
        f"{answer.account} opened a {message.side} of {_money(answer.quantity or 0)} on {message.symbol} at "
        f"{_money(answer.price or 0)}, the {'ask' if long else 'bid'}, with a margin of "
        f"{_money(message.margin)} USD at leverage {message.leverage}.",
        f"The fee was {_money(answer.fee or 0)} USD.",
    ]
    if answer.liquidation is None:
        sentences.append("No price is low enough to liquidate it.")
    else:
        moves = "falls" if long else "rises"
        watched = "bid" if long else "ask"
        sentences.append(f"It is liquidated when the {watched} {moves} to {_money(answer.liquidation)}.")
    levels = _level_words(message.stop_loss, message.take_profit, message.trailing_stop)
    if levels:
        sentences.append(f"It has {levels}.")
    return " ".join(sentences)


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


def _request(message: Inbound) -> str:
    """The kind and the fields of an instruction, as text."""
    fields = to_json(message)
    kind = str(fields.get("kind", "")).replace("_", " ")
    shown = {
        name: value for name, value in fields.items() if name not in ("type", "kind", "id", "time", "account")
    }
    details = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())
    return f"to {kind}" + (f" ({details})" if details else "")


def _order_closed(closed: ClosedOrder, message: Inbound) -> str:
    if closed.reason == "filled":
        cause = _price_words(message)
        return (
            f"{cause}the order to {closed.side} {_money(closed.quantity)} was filled at "
            f"{_money(closed.exit or 0)}, for a fee of {_money(closed.fee or 0)} USD."
        )
    if closed.reason == "cancelled":
        by_user = isinstance(message, CancelOrder) and message.order == closed.order
        return "the order was cancelled" + ("." if by_user else ", because its partner ended.")
    reason = SENTENCES.get(closed.code or "", "the reason is unknown")
    return f"{_price_words(message)}the order was rejected instead of filled: {reason} ({closed.code})."


def _price_words(message: Inbound) -> str:
    if not isinstance(message, PriceUpdate):
        return ""
    return f"the price reached {_money(message.bid)} bid, {_money(message.ask)} ask, and "


def _result(profit: int) -> str:
    if profit >= 0:
        return f"profit before the fee was {_money(profit)} USD"
    return f"loss before the fee was {_money(-profit)} USD"
