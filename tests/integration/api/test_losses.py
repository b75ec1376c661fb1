"""Behaviour of the API while Redis, Kafka, Postgres or the engine is unavailable."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from flask import Flask

from api import close, create_app
from paceline.core.secret import SecretUrl
from paceline.local.processes.ports import free_port
from tests.support.api_stack import BTC, Member, Stack, eventually, sign_in
from tests.support.frozen import freeze, unfreeze

# With an explicit slippage bound, so that no last price is needed.
LONG = {
    "symbol": BTC,
    "side": "long",
    "margin": "100",
    "leverage": 10,
    "expected_price": "69000",
    "max_slippage_bps": 100,
}


@contextmanager
def app_with(stack: Stack, **changes: object) -> Iterator[Flask]:
    """Another instance of the API on the same servers, with changed settings."""
    made = create_app(replace(stack.settings, **changes))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        close(made)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Freeze a process for the duration of the block."""
    freeze(pid)
    try:
        yield
    finally:
        unfreeze(pid)


@contextmanager
def on_instance(app: Flask, member: Member) -> Iterator[Member]:
    """The same member as a client of another instance."""
    client = app.test_client()
    for name in ("access_token_cookie", "csrf_access_token"):
        cookie = member.client.get_cookie(name)
        assert cookie is not None
        client.set_cookie(name, cookie.value)
    session = {
        "account": member.account,
        "email": member.email,
        "csrf_token": member.csrf["X-CSRF-TOKEN"],
    }
    yield Member(client, session)


@pytest.fixture(scope="module")
def without_redis(stack: Stack) -> Iterator[Flask]:
    url = SecretUrl(f"redis://127.0.0.1:{free_port()}/0")
    with app_with(stack, redis_url=url, reply_timeout_ms=4_000) as made:
        yield made


@pytest.fixture(scope="module")
def without_kafka(stack: Stack) -> Iterator[Flask]:
    with app_with(stack, kafka_bootstrap=f"127.0.0.1:{free_port()}", reply_timeout_ms=300) as made:
        yield made


def test_without_redis_account_state_is_read_from_postgres(without_redis: Flask, member: Member) -> None:
    trade = member.post("/trade/create", LONG | {"stop_loss": "60000"}).json["data"]["trade"]
    body = {"symbol": BTC, "side": "buy", "order_type": "limit", "quantity": "0.001", "price": "50000"}
    order = member.post("/trade/order", body).json["data"]["order"]
    quick = member.get("/trade/positions").json["data"]["positions"]
    with on_instance(without_redis, member) as same:
        eventually(lambda: same.get("/trade/orders").json["data"]["orders"])
        [position] = same.get("/trade/positions").json["data"]["positions"]
        assert position["trade"] == trade
        assert position["current_price"] is None
        worth = ("current_price", "unrealised_profit", "price_time")
        assert position | dict.fromkeys(worth) == quick[0] | dict.fromkeys(worth)
        [resting] = same.get("/trade/orders").json["data"]["orders"]
        assert [resting] == member.get("/trade/orders").json["data"]["orders"]
        assert resting["order"] == order
        assert same.get("/account/balance").json["data"] == member.get("/account/balance").json["data"]


def test_without_redis_an_order_is_executed_and_answered(without_redis: Flask, member: Member) -> None:
    with on_instance(without_redis, member) as same:
        answer = same.post("/trade/create", LONG, key="slow-way")
        assert answer.status_code == 200, answer.text
        assert answer.json["data"]["trade"]


def test_without_redis_a_market_order_without_bound_is_rejected(without_redis: Flask, member: Member) -> None:
    body = {name: LONG[name] for name in ("symbol", "side", "margin", "leverage")}
    with on_instance(without_redis, member) as same:
        answer = same.post("/trade/create", body)
    assert answer.status_code == 503
    assert member.get("/trade/positions").json["data"]["positions"] == []


def test_without_redis_sign_in_and_logout_work(without_redis: Flask, stack: Stack) -> None:
    newcomer = sign_in(without_redis, stack)
    assert newcomer.get("/account/balance/usd").json["data"]["cash"] == "5000"
    assert newcomer.delete("/auth/logout").status_code == 200
    assert newcomer.get("/account/balance/usd").status_code == 401


def test_without_redis_the_link_rate_limit_still_applies(without_redis: Flask) -> None:
    client = without_redis.test_client()
    body = {"email": "limited-in-memory@example.com"}
    found = [client.post("/api/v1/auth", json=body).status_code for _ in range(6)]
    assert found == [200] * 5 + [429]


def test_without_kafka_an_order_is_not_sent_and_gets_503(
    without_kafka: Flask, stack: Stack, member: Member
) -> None:
    with on_instance(without_kafka, member) as same:
        answer = same.post("/trade/create", LONG, key="never-there")
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
        assert same.get("/trade/instructions/never-there").status_code == 404
    time.sleep(0.5)
    with psycopg.connect(stack.settings.database_url) as connection:
        found = connection.execute(
            "select count(*) from engine.instructions where account = %s and instruction = 'never-there'",
            (member.account,),
        ).fetchone()
    assert found == (0,)


def test_an_account_not_opened_at_sign_in_is_opened_by_the_first_request(
    app: Flask, without_kafka: Flask, stack: Stack
) -> None:
    newcomer = sign_in(without_kafka, stack)
    opening = newcomer.get("/account/balance/usd")
    assert opening.status_code == 503
    with on_instance(app, newcomer) as same:
        assert same.get("/account/balance/usd").json["data"]["cash"] == "5000"
    other = sign_in(without_kafka, stack)
    with on_instance(app, other) as same:
        assert same.post("/trade/create", LONG).status_code == 200


def test_a_silent_engine_gives_pending_and_the_answer_can_be_read_later(stack: Stack, member: Member) -> None:
    with app_with(stack, reply_timeout_ms=300) as quick, on_instance(quick, member) as same:
        # Let the producer connect first, so that only the frozen engine causes the delay.
        eventually(lambda: same.client.get("/health").status_code == 200)
        assert same.post("/trade/close", {"trade": "0:0:0"}).status_code == 422
        with frozen(stack.workers[0].pid):
            answer = same.post("/trade/create", LONG, key="later")
            assert (answer.status_code, answer.json["data"]) == (
                202,
                {"instruction": "later", "status": "pending"},
            )
            place = answer.headers["Location"]
            assert place == "/api/v1/trade/instructions/later"
            waiting = same.client.get(place)
            assert (waiting.status_code, waiting.json["data"]["status"]) == (202, "pending")
        found = eventually(lambda: (a := same.client.get(place)).status_code == 200 and a)
        assert found.json["data"]["status"] == "accepted"
        again = same.post("/trade/create", LONG, key="later")
        assert again.json["data"]["trade"] == found.json["data"]["trade"]


def test_an_uncertain_send_is_pending_and_executed_once(stack: Stack, member: Member) -> None:
    """A frozen broker may have stored the message, so the API must not answer 503."""
    with app_with(stack, reply_timeout_ms=300) as quick, on_instance(quick, member) as same:
        eventually(lambda: same.client.get("/health").status_code == 200)
        assert same.post("/trade/close", {"trade": "0:0:0"}).status_code == 422
        with frozen(stack.kafka_server.pid):
            answer = same.post("/trade/create", LONG, key="uncertain")
            assert answer.status_code == 202
        place = answer.headers["Location"]
        found = eventually(lambda: (a := same.client.get(place)).status_code == 200 and a, within_s=20)
        again = same.post("/trade/create", LONG, key="uncertain")
        assert again.json["data"]["trade"] == found.json["data"]["trade"]
        assert len(same.get("/trade/positions").json["data"]["positions"]) == 1


def test_broken_postgres_connections_are_replaced_without_errors(stack: Stack, member: Member) -> None:
    with psycopg.connect(stack.settings.database_url) as connection:
        ended = connection.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where datname = current_database() and application_name = 'paceline-api'"
        ).fetchone()
        assert ended is not None
        assert ended[0] > 0
    assert member.get("/account/balance/usd").status_code == 200
    assert member.delete("/auth/logout").status_code == 200


def test_health_reports_unavailable_dependencies(
    app: Flask, without_redis: Flask, without_kafka: Flask
) -> None:
    whole = app.test_client().get("/health")
    assert (whole.status_code, whole.json["data"]["status"]) == (200, "ok")
    slow = without_redis.test_client().get("/health/ready")
    assert (slow.status_code, slow.json["data"]["status"]) == (200, "degraded")
    assert slow.json["data"]["dependencies"]["redis"]["state"] == "down"
    broken = without_kafka.test_client().get("/health")
    assert (broken.status_code, broken.json["error"]["code"]) == (503, "NOT_READY")
    assert broken.json["error"]["details"]["dependencies"]["kafka"]["state"] == "down"
    assert without_kafka.test_client().get("/health/live").status_code == 200


def test_concurrent_requests_get_their_own_answers(app: Flask, stack: Stack) -> None:
    members = [sign_in(app, stack) for _ in range(4)]

    def trade(number: int) -> tuple[str, str, int]:
        member = members[number % 4]
        with on_instance(app, member) as same:
            answer = same.post("/trade/create", LONG | {"margin": "10"}, key=f"many-{number}")
        return member.account, answer.json["data"]["account"], answer.status_code

    with ThreadPoolExecutor(8) as pool:
        for asked, answered, status in pool.map(trade, range(24)):
            assert (asked, status) == (answered, 200)
    for member in members:
        assert len(member.get("/trade/positions").json["data"]["positions"]) == 6
