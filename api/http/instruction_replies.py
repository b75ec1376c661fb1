"""Responses to instructions: the engine's answer at once, read later, or not there yet."""

from typing import Any, Final, Literal

import msgspec
from flask import Response
from msgspec import Struct

from api.http.envelope import success
from paceline.core.errors import TradingError
from paceline.ports.trading import Answer
from paceline.usecases.trading.refusals import refusal_sentence


class Pending(Struct, frozen=True, kw_only=True):
    """The engine has not answered yet. The header `Location` has the URL of the answer."""

    instruction: str
    status: Literal["pending"] = "pending"


class StoredAnswer(Answer, frozen=True, kw_only=True):
    """A stored answer. `message` is the reason of a refusal."""

    message: str | None = None


def answered(answer: Answer, instruction: str) -> Response:
    """The response for the engine's answer. `TradingError` with a sentence for a refusal."""
    if answer.status == "rejected":
        raise TradingError(
            refusal_sentence(answer.code),
            code=answer.code,
            details={"instruction": instruction, "duplicate": answer.duplicate},
        )
    return success(answer)


def stored(answer: Answer) -> StoredAnswer:
    sentence = refusal_sentence(answer.code) if answer.status == "rejected" else None
    return StoredAnswer(**msgspec.structs.asdict(answer), message=sentence)


OPENED: Final[dict[str, Any]] = {
    "id": "0:3:0",
    "time": 1757143198737843,
    "instruction": "5b7a9c",
    "account": "3f1c0a9be2d4477c8a10",
    "status": "accepted",
    "code": None,
    "trade": "0:3:0",
    "order": None,
    "price": "68983.1",
    "quantity": "0.01449",
    "fee": "0.49978256",
    "liquidation": "62426.70425121",
    "duplicate": False,
}
NOT_FILLED: Final[dict[str, Any]] = OPENED | dict.fromkeys(("price", "quantity", "fee", "liquidation"))
REFUSED: Final = NOT_FILLED | {
    "status": "rejected",
    "code": "INSUFFICIENT_BALANCE",
    "trade": None,
    "message": "The free balance is too low for this and its fee.",
}
