"""Operator routes. Each change is an instruction on the engine's log; a security event names the operator."""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from flask import Blueprint, Response, url_for
from msgspec import Struct

from api.admin import schemas
from api.admin.schemas import ConfigureMarket, Transfer
from api.http import security_events
from api.http.context import platform
from api.http.endpoint import Spec, endpoint
from api.http.envelope import success
from api.http.fields import Name
from api.http.idempotency import OperatorInstructionId, request_key, valid_key
from api.http.instruction_replies import NOT_FILLED, REFUSED, Pending, StoredAnswer, answered, stored
from api.http.paging import PageQuery, pagination
from paceline.core.errors import NotFoundError
from paceline.messages import inbound
from paceline.ports.identity import Member
from paceline.ports.operations import OperatorAccount
from paceline.ports.trading import Answer
from paceline.usecases.operations import operating
from paceline.usecases.operations.operating import OPERATOR_ID_PREFIX, Outcome
from paceline.usecases.trading import instructions as trading

blueprint = Blueprint("admin", __name__)

_MARKET: Final = {"symbol": Name}
_ACCOUNT: Final = {"account": Name}
# The prefix, an account, and a key.
_ID_FORM: Final = re.compile(r"[\x21-\x7e]{1,96}", re.ASCII)
_NAME_FORM: Final = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)


def _read_endpoint(
    summary: str, data: type[Struct], example: Any, **more: Any
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    return endpoint(Spec(summary=summary, data=data, example=example, operator=True, **more))


def _instruction(summary: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """The common spec of instructions to the engines of all shards."""
    spec: dict[str, Any] = {
        "data": Outcome,
        "example": schemas.DONE_EXAMPLE,
        "pending_data": Outcome,
        "errors": (504,),
    }
    return endpoint(Spec(summary=summary, operator=True, keyed=True, pending=True, **(spec | more)))


@blueprint.get("/markets")
@_read_endpoint("Markets in the engine's state, with halts", schemas.Markets, schemas.MARKETS_EXAMPLE)
def markets(member: Member) -> schemas.Markets:
    return schemas.Markets(platform().control.markets())


@blueprint.post("/markets")
@_instruction(
    "Add a market or replace its configuration",
    description="All fields take effect at once. The base of an existing market cannot change.",
    body=ConfigureMarket,
    body_example=schemas.CONFIGURE_EXAMPLE,
    errors=(504,),
)
def configure(member: Member, body: ConfigureMarket) -> Response:
    message = body.message(_new_id(member), platform().gateway.now_us())
    _record_act(member, message)
    outcome = operating.configure_market(platform().gateway, platform().control, message)
    return _outcome(outcome, url_for("admin.markets"))


@blueprint.post("/markets/<symbol>/halt")
@_instruction("Halt a market: prices are still read, but nothing opens, closes or triggers", path=_MARKET)
def halt_market(member: Member, symbol: str) -> Response:
    return _market(member, inbound.HaltMarket, symbol)


@blueprint.post("/markets/<symbol>/resume")
@_instruction("Resume a halted market: the next price decides what triggers", path=_MARKET)
def resume_market(member: Member, symbol: str) -> Response:
    return _market(member, inbound.ResumeMarket, symbol)


@blueprint.get("/accounts")
@_read_endpoint(
    "Accounts, newest first, in pages", schemas.Accounts, schemas.ACCOUNTS_EXAMPLE, query=PageQuery
)
def accounts(member: Member, query: PageQuery) -> schemas.Accounts:
    page = platform().control.accounts(offset=query.offset, limit=query.per_page)
    return schemas.Accounts(page.items, pagination(query, page.total))


@blueprint.get("/accounts/<account>")
@_read_endpoint("An account", OperatorAccount, schemas.ACCOUNT_EXAMPLE, path=_ACCOUNT)
def account(member: Member, account: str) -> OperatorAccount:
    return operating.require_account(platform().control, _name_in_url(account))


@blueprint.post("/accounts/<account>/halt")
@_instruction("Halt an account: it can close, amend and cancel, but not open", path=_ACCOUNT)
def halt_account(member: Member, account: str) -> Response:
    return _account(member, inbound.HaltAccount, account)


@blueprint.post("/accounts/<account>/resume")
@_instruction("Resume a halted account", path=_ACCOUNT)
def resume_account(member: Member, account: str) -> Response:
    return _account(member, inbound.ResumeAccount, account)


_TRANSFER: Final[dict[str, Any]] = {
    "body": Transfer,
    "body_example": schemas.TRANSFER_EXAMPLE,
    "data": Answer,
    "pending_data": None,
    "path": _ACCOUNT,
    "example": NOT_FILLED | {"trade": None},
    "errors": (422,),
}


@blueprint.post("/accounts/<account>/deposit")
@_instruction("Deposit USD into an account", **_TRANSFER)
def deposit(member: Member, account: str, body: Transfer) -> Response:
    return _transfer(member, inbound.Deposit, account, body)


@blueprint.post("/accounts/<account>/withdraw")
@_instruction("Withdraw USD from an account's cash", **_TRANSFER)
def withdraw(member: Member, account: str, body: Transfer) -> Response:
    return _transfer(member, inbound.Withdraw, account, body)


@blueprint.get("/accounts/<account>/instructions/<path:instruction>")
@_read_endpoint(
    "The answer to an earlier deposit or withdrawal, also a refusal",
    StoredAnswer,
    REFUSED,
    pending=True,
    errors=(400,),
    path=_ACCOUNT | {"instruction": OperatorInstructionId},
)
def instruction(member: Member, account: str, instruction: str) -> Response:
    name = _instruction_id(member, instruction)
    found = trading.find(platform().gateway, _name_in_url(account), name)
    return _pending(account, name) if found is None else success(stored(found))


def _market(
    member: Member, kind: type[inbound.HaltMarket] | type[inbound.ResumeMarket], symbol: str
) -> Response:
    control = platform().control
    message = kind(
        _new_id(member), platform().gateway.now_us(), operating.require_market(control, _name_in_url(symbol))
    )
    _record_act(member, message)
    return _outcome(
        operating.instruct_all_shards(platform().gateway, control, message), url_for("admin.markets")
    )


def _account(
    member: Member, kind: type[inbound.HaltAccount] | type[inbound.ResumeAccount], account: str
) -> Response:
    control = platform().control
    known = operating.require_account(control, _name_in_url(account)).account
    message = kind(_new_id(member), platform().gateway.now_us(), known)
    _record_act(member, message)
    outcome = operating.instruct_all_shards(platform().gateway, control, message)
    return _outcome(outcome, url_for("admin.account", account=known))


def _transfer(
    member: Member, kind: type[inbound.Deposit] | type[inbound.Withdraw], account: str, body: Transfer
) -> Response:
    message = kind(_new_id(member), platform().gateway.now_us(), _name_in_url(account), body.scaled)
    _record_act(member, message)
    answer = operating.transfer(platform().gateway, platform().control, message)
    return _pending(account, message.id) if answer is None else answered(answer, message.id)


def _outcome(outcome: Outcome, location: str) -> Response:
    if outcome.status == "done":
        return success(outcome)
    return success(outcome, 202, {"Location": location})


def _pending(account: str, instruction: str) -> Response:
    location = url_for("admin.instruction", account=account, instruction="-")[:-1] + quote(
        instruction, safe=""
    )
    return success(Pending(instruction=instruction), 202, {"Location": location})


def _new_id(operator: Member) -> str:
    return operating.operator_id(request_key(), operator.account)


def _instruction_id(operator: Member, text: str) -> str:
    """The id in a URL: that of any operator's instruction as a whole, or a key of this operator's."""
    if not text.startswith(OPERATOR_ID_PREFIX):
        return operating.operator_id(valid_key(text), operator.account)
    if _ID_FORM.fullmatch(text) is None:
        raise NotFoundError("The account has no such instruction.")
    return text


def _name_in_url(text: str) -> str:
    """A symbol or an account from the URL. `NotFoundError` if it cannot be one."""
    if _NAME_FORM.fullmatch(text) is None:
        raise NotFoundError("No market or account has this name.")
    return text


def _record_act(member: Member, message: inbound.AdminInstruction | inbound.UserInstruction) -> None:
    security_events.record(
        "operator_acted",
        actor=security_events.actor(member),
        account=getattr(message, "account", None),
        **operating.describe_act(message),
    )
