"""Malformed requests: each gets a clear error and changes nothing."""

import asyncio
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from flask import Flask

from paceline.adapters.kafka.topics import ENGINE_IN
from tests.support.api_stack import BTC, SHARDS, Member, Stack

TRADE: dict[str, Any] = {"symbol": BTC, "side": "long", "margin": "100", "leverage": 10}
ORDER: dict[str, Any] = {"symbol": BTC, "side": "buy", "quantity": "0.001"}
LIMIT = ORDER | {"order_type": "limit", "price": "60000"}


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


# (path, body, the field the error names)
BODIES: list[tuple[str, Any, str]] = [
    ("/trade/create", {}, "symbol"),
    ("/trade/create", without(TRADE, "symbol"), "symbol"),
    ("/trade/create", without(TRADE, "side"), "side"),
    ("/trade/create", without(TRADE, "margin"), "margin"),
    ("/trade/create", without(TRADE, "leverage"), "leverage"),
    ("/trade/create", TRADE | {"symbol": ""}, "symbol"),
    ("/trade/create", TRADE | {"symbol": "BTC USDC"}, "symbol"),
    ("/trade/create", TRADE | {"symbol": "B" * 65}, "symbol"),
    ("/trade/create", TRADE | {"symbol": None}, "symbol"),
    ("/trade/create", TRADE | {"symbol": BTC + "\u0000"}, "symbol"),
    ("/trade/create", TRADE | {"symbol": BTC + "\n"}, "symbol"),
    ("/trade/create", TRADE | {"symbol": [BTC]}, "symbol"),
    ("/trade/create", TRADE | {"side": "up"}, "side"),
    ("/trade/create", TRADE | {"side": "LONG"}, "side"),
    ("/trade/create", TRADE | {"margin": 100}, "margin"),
    ("/trade/create", TRADE | {"margin": 100.5}, "margin"),
    ("/trade/create", TRADE | {"margin": "-100"}, "margin"),
    ("/trade/create", TRADE | {"margin": "+100"}, "margin"),
    ("/trade/create", TRADE | {"margin": "1e3"}, "margin"),
    ("/trade/create", TRADE | {"margin": "NaN"}, "margin"),
    ("/trade/create", TRADE | {"margin": "Infinity"}, "margin"),
    ("/trade/create", TRADE | {"margin": ""}, "margin"),
    ("/trade/create", TRADE | {"margin": " 100"}, "margin"),
    ("/trade/create", TRADE | {"margin": "100\n"}, "margin"),
    ("/trade/create", TRADE | {"margin": "1,000"}, "margin"),
    ("/trade/create", TRADE | {"margin": "1."}, "margin"),
    ("/trade/create", TRADE | {"margin": ".5"}, "margin"),
    ("/trade/create", TRADE | {"margin": "0.123456789"}, "margin"),
    ("/trade/create", TRADE | {"margin": "1000000000.00000001"}, "margin"),
    ("/trade/create", TRADE | {"margin": "10000000000"}, "margin"),
    ("/trade/create", TRADE | {"margin": "9" * 5000}, "margin"),
    ("/trade/create", TRADE | {"margin": "١٠٠"}, "margin"),
    ("/trade/create", TRADE | {"leverage": "10"}, "leverage"),
    ("/trade/create", TRADE | {"leverage": 10.5}, "leverage"),
    ("/trade/create", TRADE | {"leverage": 0}, "leverage"),
    ("/trade/create", TRADE | {"leverage": -1}, "leverage"),
    ("/trade/create", TRADE | {"leverage": True}, "leverage"),
    ("/trade/create", TRADE | {"leverage": 10**30}, "leverage"),
    ("/trade/create", TRADE | {"stop_loss": 68000}, "stop_loss"),
    ("/trade/create", TRADE | {"take_profit": "-1"}, "take_profit"),
    ("/trade/create", TRADE | {"trailing_stop": {}}, "trailing_stop"),
    ("/trade/create", TRADE | {"max_slippage_bps": 10_001}, "max_slippage_bps"),
    ("/trade/create", TRADE | {"max_slippage_bps": -1}, "max_slippage_bps"),
    ("/trade/create", TRADE | {"stopLoss": "68000"}, "stopLoss"),
    ("/trade/create", TRADE | {"time": 1}, "time"),
    ("/trade/create", TRADE | {"account": "member"}, "account"),
    ("/trade/create", TRADE | {"id": "mine"}, "id"),
    ("/trade/close", {}, "trade"),
    ("/trade/close", {"trade": "first"}, "trade"),
    ("/trade/close", {"trade": "0:3"}, "trade"),
    ("/trade/close", {"trade": "0:3:0 or true"}, "trade"),
    ("/trade/close", {"trade": 3}, "trade"),
    ("/trade/close", {"trade": "0:" + "9" * 60 + ":0"}, "trade"),
    ("/trade/close", {"trade": "0:3:0", "quantity": "half"}, "quantity"),
    ("/trade/amend", {"trade": "0:3:0"}, "stop_loss"),
    ("/trade/amend", {"trade": "0:3:0", "stop_loss": 5}, "stop_loss"),
    ("/trade/amend", {"trade": "0:3:0", "liquidation": "5"}, "liquidation"),
    ("/trade/order", without(ORDER, "quantity"), "quantity"),
    ("/trade/order", ORDER | {"side": "long"}, "side"),
    ("/trade/order", ORDER | {"order_type": "iceberg"}, "order_type"),
    ("/trade/order", without(LIMIT, "price"), "price"),
    ("/trade/order", ORDER | {"order_type": "stop"}, "price"),
    ("/trade/order", ORDER | {"order_type": "take_profit", "distance": "5"}, "price"),
    ("/trade/order", ORDER | {"order_type": "trailing_stop"}, "distance"),
    ("/trade/order", LIMIT | {"distance": "5"}, "distance"),
    ("/trade/order", ORDER | {"price": "60000"}, "price"),
    ("/trade/order", LIMIT | {"oco_with": "other"}, "oco_with"),
    ("/trade/cancel", {}, "order"),
    ("/trade/cancel", {"order": "0:1:0", "trade": "0:1:0"}, "trade"),
    ("/trade/create", [], "body"),
    ("/trade/create", "long", "body"),
    ("/auth", {}, "email"),
    ("/auth", {"email": "no-address"}, "email"),
    ("/auth", {"email": "a@b@c.de"}, "email"),
    ("/auth", {"email": "a@localhost"}, "email"),
    ("/auth", {"email": "a@-b.de"}, "email"),
    ("/auth", {"email": "a@b..de"}, "email"),
    ("/auth", {"email": f"a@{'b' * 64}.de"}, "email"),
    ("/auth", {"email": "a b@example.com"}, "email"),
    ("/auth", {"email": "a@example.com\r\nBcc: all@example.com"}, "email"),
    ("/auth", {"email": "a@" + "b" * 300}, "email"),
    ("/auth", {"email": ["a@example.com"]}, "email"),
    ("/auth", {"email": "ok@example.com", "display_name": ""}, "display_name"),
    ("/auth", {"email": "ok@example.com", "display_name": "x" * 41}, "display_name"),
    ("/auth", {"email": "ok@example.com", "display_name": "<b>"}, "display_name"),
    ("/auth", {"email": "ok@example.com", "role": "operator"}, "role"),
    ("/auth/verify", {}, "token"),
    ("/auth/verify", {"token": "short"}, "token"),
    ("/auth/verify", {"token": 5}, "token"),
    ("/auth/verify", {"token": "a" * 43, "email": "ok@example.com", "code": "12345678"}, "token"),
    ("/auth/verify", {"email": "ok@example.com"}, "code"),
    ("/auth/verify", {"code": "12345678"}, "email"),
    ("/auth/verify", {"email": "ok@example.com", "code": "1234567"}, "code"),
    ("/auth/verify", {"email": "no-address", "code": "12345678"}, "email"),
]

# (raw body, content type, status, code)
RAW: list[tuple[bytes, str, int, str]] = [
    (b"", "application/json", 400, "VALIDATION_ERROR"),
    (b"null", "application/json", 400, "VALIDATION_ERROR"),
    (b"{", "application/json", 400, "VALIDATION_ERROR"),
    (b"\xff\xfe", "application/json", 400, "VALIDATION_ERROR"),
    (b'{"symbol":"\xff"}', "application/json", 400, "VALIDATION_ERROR"),
    (b'{"margin":NaN}', "application/json", 400, "VALIDATION_ERROR"),
    (b"{} {}", "application/json", 400, "VALIDATION_ERROR"),
    (b"[" * 10_000, "application/json", 400, "VALIDATION_ERROR"),
    (b"symbol=BTC", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
    (b"<trade/>", "application/xml", 415, "UNSUPPORTED_MEDIA_TYPE"),
    (b"{}", "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
    (b'{"symbol":"' + b"x" * 20_000 + b'"}', "application/json", 413, "PAYLOAD_TOO_LARGE"),
]

# (path with query, the field the error names)
QUERIES: list[tuple[str, str]] = [
    ("/trade/history?page=0", "page"),
    ("/trade/history?page=-1", "page"),
    ("/trade/history?page=one", "page"),
    ("/trade/history?page=1.5", "page"),
    ("/trade/history?page=1.0", "page"),
    ("/trade/history?page=1e0", "page"),
    ("/trade/history?page=01", "page"),
    ("/trade/history?from=null", "from"),
    ("/trade/history?page=1001", "page"),
    ("/trade/history?per_page=101", "per_page"),
    ("/trade/history?per_page=0", "per_page"),
    ("/trade/history?page=1&page=2", "page"),
    ("/trade/history?symbol=%00", "symbol"),
    ("/trade/history?symbol=a'b", "symbol"),
    ("/trade/history?from=yesterday", "from"),
    ("/trade/history?from=-1", "from"),
    ("/trade/history?from=5&to=5", "from"),
    ("/trade/history?to=99999999999999999999", "to"),
    ("/trade/history?account=member", "account"),
    ("/leaderboard?period=year", "period"),
    ("/leaderboard?period=", "period"),
    ("/leaderboard?limit=5", "limit"),
    ("/auth/verify", "token"),
    ("/auth/verify?token=", "token"),
    ("/auth/verify?token=x", "token"),
]

KEYS = ["", " ", "x" * 65, "with space", "tab\there", "..", "naïve", "open-3f1c0a9be2d4477c8a10"]


async def _log_ends(stack: Stack) -> dict[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.settings.kafka.brokers)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(ENGINE_IN, shard) for shard in range(SHARDS)])
    finally:
        await consumer.stop()
    return {place.partition: end for place, end in ends.items()}


def mutable_state(stack: Stack) -> Any:
    """All that a request could change: log ends, and counts of members, links and sessions."""
    counts = "select (select count(*) from community.users), (select count(*) from community.magic_links), "
    counts += "(select count(*) from community.sessions where ended_at is null)"
    with psycopg.connect(stack.settings.database_url) as connection:
        rows = connection.execute(counts).fetchone()
    return asyncio.run(_log_ends(stack)), rows


@pytest.fixture(scope="module")
def member(app: Flask, stack: Stack) -> Member:
    from tests.support.api_stack import sign_in

    return sign_in(app, stack)


@pytest.fixture(scope="module", autouse=True)
def nothing_changes(member: Member, stack: Stack) -> Any:
    """Check that all tests of this module together change nothing."""
    before = mutable_state(stack)
    yield
    assert mutable_state(stack) == before


def named(number_and_case: Any) -> str:
    return str(number_and_case)[:60]


@pytest.mark.parametrize(("path", "body", "field"), BODIES, ids=named)
def test_a_malformed_body_names_the_field(member: Member, path: str, body: Any, field: str) -> None:
    answer = member.post(path, body)
    assert answer.status_code == 400, answer.text
    error = answer.json["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert field in error["details"], error
    assert error["details"][field]
    assert answer.json["success"] is False
    assert answer.json["meta"]["requestId"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize(("raw", "kind", "status", "code"), RAW, ids=named)
def test_an_unusable_body_is_rejected(member: Member, raw: bytes, kind: str, status: int, code: str) -> None:
    answer = member.client.post("/api/v1/trade/create", data=raw, content_type=kind, headers=member.csrf)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert answer.json["error"]["message"]


@pytest.mark.parametrize(("path", "field"), QUERIES, ids=named)
def test_a_malformed_query_names_the_field(member: Member, path: str, field: str) -> None:
    answer = member.get(path)
    assert answer.status_code == 400, answer.text
    assert field in answer.json["error"]["details"]


@pytest.mark.parametrize("key", KEYS, ids=named)
def test_a_malformed_idempotency_key_is_rejected(member: Member, key: str) -> None:
    answer = member.post("/trade/create", TRADE, key=key)
    assert answer.status_code == 400, answer.text
    assert "Idempotency-Key" in answer.json["error"]["details"]


def test_all_invalid_fields_are_reported_together(member: Member) -> None:
    answer = member.post("/trade/create", {"symbol": "?", "margin": 5, "colour": "red"})
    assert set(answer.json["error"]["details"]) == {"symbol", "side", "margin", "leverage", "colour"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("get", "/api/v1/trade/create", 405, "METHOD_NOT_ALLOWED"),
        ("delete", "/api/v1/account/balance", 405, "METHOD_NOT_ALLOWED"),
        ("get", "/api/v1/docs/../../secrets", 404, "NOT_FOUND"),
        ("get", "/api/v1/docs/__init__.py", 404, "NOT_FOUND"),
    ],
)
def test_an_unknown_path_or_method_is_rejected(
    app: Flask, method: str, path: str, status: int, code: str
) -> None:
    answer = getattr(app.test_client(), method)(path)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert (status == 405) == ("Allow" in answer.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/trade/positions",
        "/trade/orders",
        "/trade/history",
        "/trade/instructions/x",
        "/account/balance",
        "/account/balance/usd",
        "/account/assets",
    ],
)
def test_reading_requires_a_session(app: Flask, path: str) -> None:
    answer = app.test_client().get(f"/api/v1{path}")
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "UNAUTHENTICATED")


def test_a_valid_request_id_is_kept_and_an_invalid_one_replaced(app: Flask) -> None:
    client = app.test_client()
    kept = client.get("/health/live", headers={"X-Request-ID": "mine-1"})
    assert kept.headers["X-Request-ID"] == kept.json["meta"]["requestId"] == "mine-1"
    made = client.get("/health/live", headers={"X-Request-ID": "not one { }"})
    assert made.headers["X-Request-ID"] == made.json["meta"]["requestId"] != "not one { }"
