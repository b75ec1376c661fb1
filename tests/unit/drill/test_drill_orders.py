"""Drill members send every kind of instruction in a form that the API accepts."""

import random
from decimal import Decimal
from typing import Any

import msgspec

from api.trade import schemas
from paceline.drill.orders import Book, DrawnInstruction, Quote, draw_instruction, forget, take_answer

BTC = Quote("BTC_USDC_PERP", "BTC", Decimal("0.00001"), Decimal("68983.0"), Decimal("68983.1"))
ADA = Quote("ADA_USDC_PERP", "ADA", Decimal(1), Decimal("0.8123"), Decimal("0.8124"))
QUOTES = {quote.symbol: quote for quote in (BTC, ADA)}
SCHEMAS: dict[str, Any] = {
    "create": schemas.CreateTrade,
    "close": schemas.CloseTrade,
    "amend": schemas.AmendTrade,
    "order": schemas.PlaceOrder,
    "cancel": schemas.CancelOrder,
}


def answer_to(wish: DrawnInstruction, number: int) -> dict[str, Any]:
    """The answer of an engine that accepts everything."""
    new = f"0:{number}:0"
    return {"trade": new, "order": new, "quantity": wish.body.get("quantity", "10")}


def drawn(seed: int, count: int) -> list[DrawnInstruction]:
    draw, book, requests = random.Random(seed), Book(), []
    for number in range(count):
        requests.append(draw_instruction(draw, book, QUOTES))
        take_answer(book, requests[-1], answer_to(requests[-1], number))
    return requests


def test_every_kind_is_drawn_and_valid_for_the_api() -> None:
    requests = drawn(seed=1, count=2_000)
    for wish in requests:
        msgspec.convert(dict(wish.body), SCHEMAS[wish.path])
    orders = {f"order {kind}" for kind in ("market", "limit", "stop", "take_profit", "trailing_stop")}
    assert {wish.kind for wish in requests} == {"create", "close", "amend", "cancel"} | orders
    assert any("oco_with" in wish.body for wish in requests)
    assert any("quantity" in wish.body for wish in requests if wish.path == "close")


def test_the_same_seed_draws_the_same() -> None:
    assert drawn(seed=2, count=300) == drawn(seed=2, count=300)
    assert drawn(seed=2, count=300) != drawn(seed=3, count=300)


def test_a_book_follows_the_answers() -> None:
    book = Book()
    opening = DrawnInstruction("create", {"symbol": BTC.symbol}, BTC)
    take_answer(book, opening, {"trade": "0:1:0", "quantity": "10"})
    take_answer(book, DrawnInstruction("close", {"trade": "0:1:0", "quantity": "4"}, BTC), {"quantity": "4"})
    assert book.trades == {"0:1:0": (BTC, Decimal(6))}
    forget(book, DrawnInstruction("amend", {"trade": "0:1:0"}, BTC))
    assert book.trades == {}
