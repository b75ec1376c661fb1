"""What the API answers is what its OpenAPI document says, for all clients. Requests are generated from it."""

from http.cookies import SimpleCookie
from types import ModuleType
from typing import Any

import pytest
from flask import Flask

from api.http.context import platform
from tests.support.api_stack import BTC, Member, Stack, eventually, sign_in

# Random valid and random malformed requests for each operation, besides the boundaries of each field.
EXAMPLES = 8
OWN_MARKET = "OPENAPI_USDC_PERP"
MARKET: dict[str, Any] = {
    "symbol": OWN_MARKET,
    "base": "OPENAPI",
    "quantity_step": "0.01",
    "min_notional": "5",
    "max_leverage": 20,
    "maker_rate_bps": 1,
    "taker_rate_bps": 3,
    "maintenance_rate_bps": 40,
    "max_price_age_us": 3_600_000_000,
}
# Each request of it ends the session; test_every_operation_succeeds_as_documented covers it.
LOGOUT = "DELETE /api/v1/auth/logout"


@pytest.fixture(scope="module")
def cases() -> ModuleType:
    from tests.support import openapi_cases

    return openapi_cases


@pytest.fixture(scope="module")
def operator(app: Flask, stack: Stack) -> Member:
    member = sign_in(app, stack)
    with app.app_context():
        assert platform().control.set_role(member.email, "operator")
    assert member.post("/admin/markets", MARKET).status_code in (200, 202)
    eventually(lambda: member.get(f"/admin/accounts/{member.account}").status_code == 200)
    return member


def keep_in_bounds(case: Any) -> None:
    """Keep a generated request away from the market of other tests, and from what OpenAPI cannot state."""
    if symbol_in(case.path_parameters) == BTC:
        case.path_parameters["symbol"] = OWN_MARKET
    if case.path.endswith("/admin/markets") and symbol_in(case.body) == BTC:
        case.body["symbol"] = OWN_MARKET
    times = [str(case.query.get(name)) for name in ("from", "to")]
    if all(time.isdigit() for time in times) and int(times[0]) >= int(times[1]):
        del case.query["from" if times[0] == "0" else "to"]  # `from` must be before `to`


def symbol_in(fields: Any) -> Any:
    return fields.get("symbol") if isinstance(fields, dict) else None


def test_operations_without_a_session_answer_as_documented(app: Flask, cases: ModuleType) -> None:
    api = cases.DocumentedApi(app, accepted=[*cases.ACCEPTED, "401", "403"])  # no generated proof is valid
    for operation in api.operations.values():
        if not cases.needs_session(operation):
            api.check_generated(operation, EXAMPLES, keep_in_bounds)
    api.assert_documented()


def test_operations_of_members_answer_as_documented(app: Flask, stack: Stack, cases: ModuleType) -> None:
    api = cases.DocumentedApi(app, cases.Session.of(sign_in(app, stack)))
    for label, operation in api.operations.items():
        own = cases.needs_session(operation) and not cases.is_for_operators(operation)
        if own and label != LOGOUT:
            api.check_generated(operation, EXAMPLES, keep_in_bounds)
    api.assert_documented()


def test_operations_of_operators_answer_as_documented(
    app: Flask, operator: Member, cases: ModuleType
) -> None:
    api = cases.DocumentedApi(app, cases.Session.of(operator))
    existing = {"account": operator.account, "symbol": OWN_MARKET}
    for operation in api.operations.values():
        if cases.is_for_operators(operation):
            known = {name: value for name, value in existing.items() if f"{{{name}}}" in operation.path}
            api.check_generated(
                operation, EXAMPLES, keep_in_bounds, **({"path_parameters": known} if known else {})
            )
    api.assert_documented()


def test_every_operation_requires_its_session(
    app: Flask, member: Member, operator: Member, cases: ModuleType
) -> None:
    own, operators = cases.Session.of(member), cases.Session.of(operator)
    clients = {
        "no session": (None, 401, "UNAUTHENTICATED"),
        "a forged session": (cases.Session(own.cookie[:-4] + "AAAA", own.csrf), 401, "UNAUTHENTICATED"),
        "no CSRF token": (cases.Session(operators.cookie, ""), 403, "CSRF_FAILED"),
        "a member": (own, 403, "FORBIDDEN"),
    }
    for client, (session, status, code) in clients.items():
        api = cases.DocumentedApi(app, session, accepted=[str(status)])
        for label, operation in api.operations.items():
            if (
                not cases.needs_session(operation)
                or (client == "no CSRF token" and operation.method == "get")
                or (client == "a member" and not cases.is_for_operators(operation))
            ):
                continue
            response = api.check(api.valid_case(operation))
            assert (response.status_code, response.json()["error"]["code"]) == (status, code), (client, label)
        api.assert_documented()


def test_conflicts_answer_as_documented(
    app: Flask, member: Member, operator: Member, cases: ModuleType
) -> None:
    api = cases.DocumentedApi(app, cases.Session.of(member))
    same_key = {"Idempotency-Key": "openapi-conflict"}
    cancel, close = ("POST", "/api/v1/trade/cancel"), ("POST", "/api/v1/trade/close")
    sending = Sender(api)
    assert sending.send(*cancel, {"order": "0:1:0"}, headers=same_key).status_code == 422
    # 202 until the writer has stored the first request.
    reused = eventually(
        lambda: (
            (found := sending.send(*close, {"trade": "0:1:0"}, headers=same_key)).status_code != 202 and found
        )
    )
    assert (reused.status_code, reused.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    api.assert_documented()
    api = cases.DocumentedApi(app, cases.Session.of(operator))
    fixed = Sender(api).send("POST", "/api/v1/admin/markets", MARKET | {"base": "OTHER"})
    assert (fixed.status_code, fixed.json()["error"]["code"]) == (409, "BASE_IS_FIXED")
    api.assert_documented()


def test_every_operation_succeeds_as_documented(
    app: Flask, stack: Stack, operator: Member, cases: ModuleType
) -> None:
    member = sign_in(app, stack)
    stack.price("68983", "68983.1")
    done = succeed_signing_in(cases.DocumentedApi(app), stack)
    done |= succeed_as_operator(cases.DocumentedApi(app, cases.Session.of(operator)), member)
    done |= succeed_as_member(cases.DocumentedApi(app, cases.Session.of(member)))
    assert done == set(cases.DocumentedApi(app).operations)


class Sender:
    """Sends requests that should succeed. `done` has the labels of their operations."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.done: set[str] = set()

    def __call__(self, method: str, path: str, body: Any = None, **rest: Any) -> Any:
        """Send a request until it succeeds; returns the data of its response."""
        response = self.send(method, path, body, **rest)
        # The writer stores what the engine has answered a moment later.
        if method == "GET" and response.status_code == 404:
            response = eventually(
                lambda: (found := self.send(method, path, **rest)).status_code == 200 and found
            )
        assert response.status_code == 200, (method, path, response.text)
        self.done.add(f"{method} {path}")
        return response.json()["data"] if "json" in response.headers["content-type"][0] else None

    def send(
        self, method: str, path: str, body: Any = None, *, headers: Any = None, kind: str = "", **places: Any
    ) -> Any:
        """The response of a request. `places` are the parameters, by place."""
        if body is not None:
            places |= {"body": body, "media_type": kind or "application/json"}
        case = self.api.operations[f"{method} {path}"].Case(headers=headers or {}, **places)
        if self.api.schema.auth.is_defined:
            self.api.schema.auth.set(case, None)
        return self.api.check(case)


def succeed_signing_in(api: Any, stack: Stack) -> set[str]:
    send = Sender(api)
    ask, verify = "/api/v1/auth", "/api/v1/auth/verify"
    json, form = {"Accept": "application/json"}, "application/x-www-form-urlencoded"
    for number, (proof, kind) in enumerate(
        (("token", "application/json"), ("token", form), ("code", "application/json"), ("code", form))
    ):
        email = f"openapi-{number}@example.com"
        asked = send.send("POST", ask, {"email": email, "display_name": "Ada Ž. 愛"}, kind=kind)
        assert asked.status_code == 200, asked.text
        browser = SimpleCookie(asked.headers["set-cookie"][0])
        cookies = {name: morsel.value for name, morsel in browser.items()}
        mail = stack.new_mail(email, 0)
        send("GET", verify, query={"token": mail.token}, cookies=cookies)
        assert send("GET", verify, query={"token": mail.token}, cookies=cookies, headers=json)["works_here"]
        body = {"token": mail.token} if proof == "token" else {"email": email, "code": mail.code}
        assert send.send("POST", verify, body, kind=kind).status_code == 403, "another browser"
        send("POST", verify, body, kind=kind, cookies=cookies)
    send("POST", ask, {"email": "openapi@example.com"})
    for path in ("/health", "/health/live", "/health/ready", "/api/v1/leaderboard"):
        send("GET", path)
    api.assert_documented()
    return send.done


def succeed_as_operator(api: Any, member: Member) -> set[str]:
    send = Sender(api)
    admin = "/api/v1/admin"
    of_market: dict[str, Any] = {"path_parameters": {"symbol": OWN_MARKET}}
    of_account: dict[str, Any] = {"path_parameters": {"account": member.account}}
    send("POST", f"{admin}/markets", MARKET)
    send("GET", f"{admin}/markets")
    send("POST", f"{admin}/markets/{{symbol}}/halt", **of_market)
    send("POST", f"{admin}/markets/{{symbol}}/resume", **of_market)
    eventually(lambda: len(send("GET", f"{admin}/accounts", query={"per_page": 2})["items"]) == 2)
    send("GET", f"{admin}/accounts/{{account}}", **of_account)
    send("POST", f"{admin}/accounts/{{account}}/halt", **of_account)
    send("POST", f"{admin}/accounts/{{account}}/resume", **of_account)
    answer = send("POST", f"{admin}/accounts/{{account}}/deposit", {"amount": "250"}, **of_account)
    send("POST", f"{admin}/accounts/{{account}}/withdraw", {"amount": "0.00000001"}, **of_account)
    of_account["path_parameters"]["instruction"] = answer["instruction"]
    path = f"{admin}/accounts/{{account}}/instructions/{{instruction}}"
    assert send("GET", path, **of_account)["status"] == "accepted"
    api.assert_documented()
    return send.done


def succeed_as_member(api: Any) -> set[str]:
    send = Sender(api)
    trade, account = "/api/v1/trade", "/api/v1/account"
    opening = {"symbol": BTC, "side": "long", "margin": "100", "leverage": 10.0}
    opened = send("POST", f"{trade}/create", opening)
    send("POST", f"{trade}/amend", {"trade": opened["trade"], "stop_loss": "60000", "take_profit": None})
    assert send("GET", f"{trade}/positions")["positions"]
    send("POST", f"{trade}/close", {"trade": opened["trade"]})
    limit = {"symbol": BTC, "side": "buy", "quantity": "0.001", "order_type": "limit", "price": "60000"}
    order = send("POST", f"{trade}/order", limit)["order"]
    assert send("GET", f"{trade}/orders")["orders"]
    send("POST", f"{trade}/cancel", {"order": order})
    instruction = {"instruction": opened["instruction"]}
    path = f"{trade}/instructions/{{instruction}}"
    assert send("GET", path, path_parameters=instruction)["status"] == "accepted"
    eventually(lambda: send("GET", f"{trade}/history", query={"from": 0, "per_page": 1})["items"])
    for path in ("balance", "balance/usd", "assets"):
        send("GET", f"{account}/{path}")
    send("DELETE", "/api/v1/auth/logout")
    api.assert_documented()
    return send.done
