"""The instructions that a drill's members send: every kind, drawn from a seed and from chance they hold."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

_MAX_TRADES: Final = 8
_MAX_ORDERS: Final = 6


@dataclass(frozen=True)
class Quote:
    """A market as a member sees it; `base` is the asset, `step` the smallest quantity."""

    symbol: str
    base: str
    step: Decimal
    bid: Decimal
    ask: Decimal


@dataclass
class Book:
    """What a member expects to hold, from the answers seen: open trades, resting orders, assets.

    It may be wrong: a level may have closed a trade. The engine then refuses, which is an answer too.
    """

    trades: dict[str, tuple[Quote, Decimal]] = field(default_factory=dict)
    orders: dict[str, Quote] = field(default_factory=dict)
    assets: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class DrawnInstruction:
    """An instruction to send; `quote` is the market it concerns."""

    path: str
    body: Mapping[str, Any]
    quote: Quote

    @property
    def kind(self) -> str:
        return f"{self.path} {self.body['order_type']}" if self.path == "order" else self.path


def draw_instruction(draw: random.Random, book: Book, quotes: Mapping[str, Quote]) -> DrawnInstruction:
    """The next instruction of a member; `quotes` must not be empty."""
    quote = quotes[draw.choice(sorted(quotes))]
    chance = draw.random()
    if book.trades and (chance < 0.28 or len(book.trades) >= _MAX_TRADES):
        return _close(draw, book)
    if book.trades and chance < 0.38:
        return _amend(draw, book, quotes)
    if book.orders and (chance < 0.46 or len(book.orders) >= _MAX_ORDERS):
        order = draw.choice(sorted(book.orders))
        return DrawnInstruction("cancel", {"order": order}, book.orders[order])
    if chance < 0.68:
        return _create(draw, quote)
    return _order(draw, book, quote)


def take_answer(book: Book, wish: DrawnInstruction, answer: Mapping[str, Any]) -> None:
    """Update the book after an accepted instruction."""
    body, quote = wish.body, wish.quote
    if wish.path == "create":
        book.trades[answer["trade"]] = (quote, Decimal(answer["quantity"]))
    elif wish.path == "close" and body["trade"] in book.trades:
        left = book.trades[body["trade"]][1] - Decimal(answer["quantity"])
        forget(book, wish)
        if left > 0:
            book.trades[body["trade"]] = (quote, left)
    elif wish.path == "cancel":
        forget(book, wish)
    elif wish.path == "order":
        if body["order_type"] != "market":
            book.orders[answer["order"]] = quote
        elif body["side"] == "buy":
            book.assets[quote.base] = book.assets.get(quote.base, Decimal(0)) + Decimal(body["quantity"])


def forget(book: Book, wish: DrawnInstruction) -> None:
    """Remove the trade or order that an instruction named: it no longer exists."""
    book.trades.pop(wish.body.get("trade", ""), None)
    book.orders.pop(wish.body.get("order", ""), None)


def _create(draw: random.Random, quote: Quote) -> DrawnInstruction:
    side = draw.choice(("long", "short"))
    up = side == "long"
    body: dict[str, Any] = {
        "symbol": quote.symbol,
        "side": side,
        "margin": str(draw.randint(50, 400)),
        "leverage": draw.randint(1, 50),
    }
    if draw.random() < 0.85:
        body["stop_loss"] = _price_near(draw, quote, -1 if up else 1)
        body["take_profit"] = _price_near(draw, quote, 1 if up else -1)
    if draw.random() < 0.25:
        body["trailing_stop"] = _distance(draw, quote)
    return DrawnInstruction("create", body, quote)


def _close(draw: random.Random, book: Book) -> DrawnInstruction:
    trade = draw.choice(sorted(book.trades))
    quote, quantity = book.trades[trade]
    body: dict[str, Any] = {"trade": trade}
    half = _whole_steps(quantity / 2, quote)
    if half > 0 and draw.random() < 0.3:
        body["quantity"] = f"{half:f}"
    return DrawnInstruction("close", body, quote)


def _amend(draw: random.Random, book: Book, quotes: Mapping[str, Quote]) -> DrawnInstruction:
    trade = draw.choice(sorted(book.trades))
    quote = quotes.get(book.trades[trade][0].symbol, book.trades[trade][0])
    direction = draw.choice((-1, 1))
    body: dict[str, Any] = {"trade": trade}
    chance = draw.random()
    if chance < 0.4:
        body["stop_loss"] = _price_near(draw, quote, direction)
    elif chance < 0.7:
        body["take_profit"] = _price_near(draw, quote, direction)
    elif chance < 0.85:
        body["trailing_stop"] = _distance(draw, quote)
    else:
        body["stop_loss"] = None
    return DrawnInstruction("amend", body, quote)


def _order(draw: random.Random, book: Book, quote: Quote) -> DrawnInstruction:
    held = book.assets.get(quote.base, Decimal(0))
    side = "sell" if held > 0 and draw.random() < 0.5 else "buy"
    quantity = _whole_steps(Decimal(draw.randint(20, 200)) / quote.ask, quote) or quote.step
    if side == "sell":
        quantity = min(quantity, _whole_steps(held, quote)) or quote.step
    types = ("market", "limit", "stop", "take_profit", "trailing_stop")
    order_type = draw.choices(types, weights=(35, 30, 12, 11, 12))[0]
    body: dict[str, Any] = {"symbol": quote.symbol, "side": side, "order_type": order_type}
    body["quantity"] = f"{quantity:f}"
    if order_type == "trailing_stop":
        body["distance"] = _distance(draw, quote)
    elif order_type != "market":
        above = (order_type == "stop") == (side == "buy")
        body["price"] = _price_near(draw, quote, 1 if above else -1)
    partners = sorted(order for order, of in book.orders.items() if of.symbol == quote.symbol)
    if order_type != "market" and partners and draw.random() < 0.4:
        body["oco_with"] = draw.choice(partners)
    return DrawnInstruction("order", body, quote)


def _distance(draw: random.Random, quote: Quote) -> str:
    return f"{_rounded(quote.ask * draw.randint(2, 40) / 10_000, quote.ask):f}"


def _price_near(draw: random.Random, quote: Quote, direction: int) -> str:
    """A price 0.02 % to 0.4 % above (`direction` 1) or below (−1) the market: near enough to be reached."""
    from_price = quote.ask if direction > 0 else quote.bid
    return f"{_rounded(from_price * (10_000 + direction * draw.randint(2, 40)) / 10_000, quote.ask):f}"


def _rounded(price: Decimal, like: Decimal) -> Decimal:
    return price.quantize(Decimal(1).scaleb(like.as_tuple().exponent - 1))  # type: ignore[operator]


def _whole_steps(quantity: Decimal, quote: Quote) -> Decimal:
    return (quantity / quote.step).to_integral_value(ROUND_DOWN) * quote.step
