"""The responses of an API that is busy, unavailable or waits for the engine are documented for all routes."""

import json
from dataclasses import replace
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask, Response

from api import create_app
from api.http.concurrency import ConcurrencyLimiter, is_always_answered
from api.http.middleware import RequestMiddleware
from api.http.session import token_of
from paceline.bootstrap.api import Platform
from paceline.ports.identity import Member
from paceline.ports.market import Price
from paceline.ports.operations import OperatorAccount, OperatorMarket
from paceline.settings import Settings, load
from paceline.usecases.operations.operating import operator_id
from tests.support.fakes.identity.members import FakeMembers
from tests.support.fakes.operations.control import FakeOperatorStore
from tests.support.fakes.trading.instructions import (
    FakeAnswers,
    FakeInstructionLog,
    FakePrices,
    FakeReplies,
)
from tests.support.offline_platform import offline_platform

OPERATOR = Member(uuid4(), "ada@example.com", "3f1c0a9be2d4477c8a10", "Ada", "operator")
SYMBOL = "BTC_USDC_PERP"
WITHOUT_SERVERS = "GET /health/live"
# The cookie of a browser that has requested a sign-in mail.
BROWSER = {"paceline_sign_in": "b" * 43}


class SignedInOperator(FakeMembers):
    def of_session(self, session: UUID) -> Member | None:
        return OPERATOR


@pytest.fixture(scope="module")
def cases() -> ModuleType:
    from tests.support import openapi_cases

    return openapi_cases


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    ports = {f"PACELINE_{name}_PORT": "1" for name in ("REDIS", "POSTGRES", "KAFKA")}
    return load(ports | {"PACELINE_JWT_SECRET": "s" * 32}, tmp_path_factory.mktemp("empty"))


def app_on(platform: Platform, settings: Settings, cases: ModuleType) -> tuple[Flask, Any]:
    """An application, and a valid session of it."""
    app = create_app(settings, platform)
    with app.app_context():
        return app, cases.Session(*token_of(OPERATOR, uuid4()))


@pytest.mark.parametrize(
    "members", [None, SignedInOperator()], ids=["no Postgres", "Postgres for members only"]
)
def test_a_server_that_cannot_be_reached(
    settings: Settings, cases: ModuleType, members: FakeMembers | None
) -> None:
    platform = offline_platform()
    app, session = app_on(replace(platform, members=members or platform.members), settings, cases)
    api = cases.DocumentedApi(app, session, accepted=["503"])
    for label, operation in api.operations.items():
        if label == WITHOUT_SERVERS or (members is not None and "/auth" in label):
            continue
        response = api.check(api.valid_case(operation), cookies=BROWSER)
        assert response.status_code == 503, label
        assert response.json()["error"]["code"] in ("UNAVAILABLE", "NOT_READY"), label
    api.assert_documented()


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ((202, {}, {}), "Undocumented status code"),
        ((200, {}, {"X-Extra": "1"}), "x-extra"),
        ((200, {"data": {"live": "yes"}}, {}), "violates schema"),
        ((200, {"meta": {}}, {}), "violates schema"),
        ((200, {}, {"Content-Type": "text/plain"}), "Undocumented Content-Type"),
    ],
)
def test_a_response_that_is_not_documented_is_found(
    settings: Settings, cases: ModuleType, other: tuple[int, Any, Any], problem: str
) -> None:
    status, change, headers = other
    app = create_app(settings, offline_platform())
    api = cases.DocumentedApi(app)
    body = app.test_client().get("/health/live").json | change

    def answer() -> Response:
        return Response(json.dumps(body), status, {"Content-Type": "application/json"} | headers)

    app.view_functions["health.live"] = answer
    api.check(api.valid_case(api.operations["GET /health/live"]))
    with pytest.raises(AssertionError, match=problem):
        api.assert_documented()


def test_a_busy_api(settings: Settings, cases: ModuleType) -> None:
    app = create_app(settings, offline_platform())
    api = cases.DocumentedApi(app, accepted=["503"])
    app.wsgi_app = RequestMiddleware(ConcurrencyLimiter(app.wsgi_app, 0))  # type: ignore[method-assign]
    for label, operation in api.operations.items():
        if not is_always_answered(operation.path):
            response = api.check(api.valid_case(operation))
            assert (response.status_code, response.json()["error"]["code"]) == (503, "BUSY"), label
    api.assert_documented()


def test_an_engine_that_does_not_answer(settings: Settings, cases: ModuleType) -> None:
    platform = waiting_platform()
    app, session = app_on(platform, settings, cases)
    api = cases.DocumentedApi(app, session)
    existing = {"symbol": SYMBOL, "account": OPERATOR.account, "instruction": "sent-before"}
    waiting = [
        operation for operation in api.operations.values() if "202" in operation.definition.raw["responses"]
    ]
    assert waiting
    for operation in waiting:
        case = api.valid_case(operation, path_parameters=existing)
        response = api.check(case)
        assert response.status_code == 202, operation.label
    api.assert_documented()


def test_an_account_that_sends_too_many_orders(settings: Settings, cases: ModuleType) -> None:
    strict = replace(settings, orders_per_second=1, orders_burst=1)
    app, session = app_on(waiting_platform(), strict, cases)
    api = cases.DocumentedApi(app, session)
    orders = [operation for operation in api.operations.values() if "/trade/" in operation.path]
    orders = [operation for operation in orders if operation.method == "post"]
    api.check(api.valid_case(orders[0]))
    for operation in orders:
        response = api.check(api.valid_case(operation))
        assert (response.status_code, response.json()["error"]["code"]) == (429, "RATE_LIMITED")
    api.assert_documented()


@pytest.mark.parametrize("key", ["/", "//x", "a/b//c/", "a?b#c%d&e", ".a", "..a", "%2e%2e"])
def test_the_location_of_a_pending_answer_leads_to_it(
    settings: Settings, cases: ModuleType, key: str
) -> None:
    app, session = app_on(waiting_platform(), settings, cases)
    client = app.test_client()
    client.set_cookie(cases.SESSION_COOKIE, session.cookie)
    headers = {cases.CSRF_HEADER: session.csrf, cases.KEY_HEADER: key}
    for path, body in (
        ("trade/cancel", {"order": "0:1:0"}),
        (f"admin/accounts/{OPERATOR.account}/deposit", {"amount": "1"}),
    ):
        sent = client.post(f"/api/v1/{path}", json=body, headers=headers)
        assert sent.status_code == 202
        where = client.get(sent.headers["Location"])
        assert (where.status_code, where.json["data"]) == (202, sent.json["data"]), path


def waiting_platform() -> Platform:
    """Everything is there, but no engine reads the log."""
    market: dict[str, Any] = dict.fromkeys(OperatorMarket.__struct_fields__, 1)
    market |= {"symbol": SYMBOL, "base": "BTC", "quantity_step": "1", "min_notional": "1", "halted": False}
    control = FakeOperatorStore(OperatorMarket(**(market | {"shards": [0], "halted_shards": []})))
    control.held.append(
        OperatorAccount(
            account=OPERATOR.account,
            shard=0,
            opened=1,
            halted=False,
            cash="0",
            margin="0",
            locked="0",
            open_trades=0,
            email=None,
            display_name=None,
            role=None,
        )
    )
    replies = FakeReplies()
    replies.pending |= {
        (OPERATOR.account, "sent-before"),
        (OPERATOR.account, operator_id("sent-before", OPERATOR.account)),
    }
    platform = offline_platform()
    gateway = replace(
        platform.gateway,
        log=FakeInstructionLog(),
        replies=replies,
        answers=FakeAnswers(),
        prices=FakePrices(**{SYMBOL: Price(1, 1, 1)}),
        reply_timeout_ms=1,
    )
    return replace(platform, gateway=gateway, control=control, members=SignedInOperator())
