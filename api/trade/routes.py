"""Trades and orders: sends an instruction to the engine and returns its answer."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, url_for

from api.http.context import platform
from api.http.endpoint import Spec, endpoint
from api.http.envelope import success
from api.http.idempotency import InstructionId, request_key, valid_key
from api.http.instruction_replies import OPENED, REFUSED, Pending, StoredAnswer, answered, stored
from api.http.paging import pagination
from api.trade import examples
from api.trade.schemas import (
    AmendTrade,
    Body,
    CancelOrder,
    CloseTrade,
    CreateTrade,
    History,
    HistoryQuery,
    Orders,
    PlaceOrder,
    Positions,
)
from paceline.messages import inbound
from paceline.ports.identity import Member
from paceline.ports.trading import Answer
from paceline.usecases.trading import accounts
from paceline.usecases.trading import instructions as trading

blueprint = Blueprint("trade", __name__)


def _submit(member: Member, body: Body) -> Response:
    gateway = platform().gateway
    asked: inbound.UserInstruction = body.message(request_key(), gateway.now_us(), member.account)
    answer = trading.execute(gateway, asked)
    return _pending(asked.id) if answer is None else answered(answer, asked.id)


def _instruction(
    name: str, body: type[Body], body_example: Any, example: Any, *, summary: str, description: str = ""
) -> None:
    """The route `POST /<name>` for an instruction to the engine."""
    spec = Spec(
        summary=summary,
        description=description,
        body=body,
        body_example=body_example,
        data=Answer,
        example=example,
        keyed=True,
        pending=True,
        limited=True,
        errors=(422,),
    )
    blueprint.add_url_rule(f"/{name}", name, endpoint(spec)(_submit), methods=["POST"])


_instruction(
    "create",
    CreateTrade,
    examples.CREATE,
    OPENED,
    summary="Open a trade",
    description="Without `expected_price` and `max_slippage_bps` the last price and the default bound apply.",
)
_instruction("close", CloseTrade, examples.CLOSE, examples.CLOSED, summary="Close a trade, whole or in part")
_instruction(
    "amend",
    AmendTrade,
    examples.AMEND,
    examples.AMENDED,
    summary="Change the stop and profit levels of a trade",
)
_instruction(
    "order",
    PlaceOrder,
    examples.ORDER,
    examples.FILLED,
    summary="Buy or sell an asset",
    description="A market order without `expected_price` and `max_slippage_bps` uses the last price and "
    "the default slippage bound.",
)
_instruction("cancel", CancelOrder, examples.CANCEL, examples.CANCELLED, summary="Cancel a resting order")


@blueprint.get("/instructions/<path:instruction>")
@endpoint(
    Spec(
        summary="The answer to an earlier instruction, also a refusal",
        data=StoredAnswer,
        example=REFUSED,
        pending=True,
        path={"instruction": InstructionId},
        errors=(400,),
    )
)
def instruction(member: Member, instruction: str) -> Response:
    answer = trading.find(platform().gateway, member.account, valid_key(instruction))
    return _pending(instruction) if answer is None else success(stored(answer))


@blueprint.get("/positions")
@endpoint(
    Spec(
        summary="Open trades with their profit at the last price",
        description="`unrealised_profit` is before the closing fee; null while no price is known.",
        data=Positions,
        example=examples.POSITIONS,
    )
)
def positions(member: Member) -> Positions:
    return Positions(accounts.positions(platform().account_reader, member.account))


@blueprint.get("/orders")
@endpoint(Spec(summary="Resting orders", data=Orders, example=examples.ORDERS))
def orders(member: Member) -> Orders:
    return Orders(accounts.orders(platform().account_reader, member.account))


@blueprint.get("/history")
@endpoint(
    Spec(
        summary="Closed trades and ended orders, newest first, in pages",
        query=HistoryQuery,
        data=History,
        example=examples.HISTORY,
    )
)
def history(member: Member, query: HistoryQuery) -> History:
    page = platform().closed_orders.closed_orders(
        member.account,
        symbol=query.symbol,
        from_us=query.from_us,
        to_us=query.to_us,
        offset=query.offset,
        limit=query.per_page,
    )
    return History(page.items, pagination(query, page.total))


def _pending(instruction: str) -> Response:
    location = url_for("trade.instruction", instruction="-")[:-1] + quote(instruction, safe="")
    return success(Pending(instruction=instruction), 202, {"Location": location})
