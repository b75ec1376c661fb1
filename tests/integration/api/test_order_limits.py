"""Limits of what one account may send, through the API with a real engine."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from flask import Flask

from tests.integration.api.test_losses import LONG, app_with, frozen, on_instance
from tests.support.api_stack import Member, Stack, eventually, sign_in

UNKNOWN = {"trade": "0:0:0"}
USUAL = {"orders_per_second": 20, "orders_burst": 40, "orders_per_day": 50_000}
ROUTES = {
    "/trade/create": LONG,
    "/trade/close": UNKNOWN,
    "/trade/amend": UNKNOWN | {"stop_loss": "1"},
    "/trade/order": {"symbol": "NO_SUCH", "side": "buy", "quantity": "1"},
    "/trade/cancel": {"order": "0:0:0"},
}


@pytest.fixture(scope="module")
def strict(stack: Stack) -> Iterator[Flask]:
    """An instance that allows an account three orders a day."""
    with app_with(stack, **USUAL | {"orders_per_day": 3}, api_requests=8) as made:
        yield made


@pytest.fixture(scope="module")
def usual(stack: Stack) -> Iterator[Flask]:
    """An instance with the default limits."""
    with app_with(stack, **USUAL) as made:
        yield made


def instructions_of(stack: Stack, account: str) -> int:
    with redis.Redis.from_url(stack.settings.cache_url) as client:
        return int(client.xlen(f"events:{account}"))


def test_orders_beyond_the_limit_of_a_day_get_429_and_are_not_sent(
    strict: Flask, member: Member, stack: Stack
) -> None:
    with on_instance(strict, member) as same:
        assert [same.post("/trade/close", UNKNOWN).status_code for _ in range(3)] == [422] * 3
        sent = instructions_of(stack, member.account)
        refused = same.post("/trade/close", UNKNOWN)
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert refused.json["error"]["message"] == (
        "The account has sent more than 3 orders per day. Wait, then send it again."
    )
    assert 28_000 < int(refused.headers["Retry-After"]) <= 28_800
    assert instructions_of(stack, member.account) == sent


def test_orders_beyond_the_limit_of_a_second_get_429(stack: Stack, member: Member) -> None:
    with (
        app_with(stack, orders_per_second=1, orders_burst=2) as brisk,
        on_instance(brisk, member) as same,
    ):
        found = [same.post("/trade/close", UNKNOWN) for _ in range(30)]
        assert [answer.status_code for answer in found[:2]] == [422, 422]
        refused = next(answer for answer in found if answer.status_code == 429)
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["RateLimit"].startswith('"orders";r=0;t=1, ')
        time.sleep(1)
        assert same.post("/trade/close", UNKNOWN).status_code == 422


@pytest.mark.parametrize("path", ROUTES)
def test_every_order_route_is_limited_and_reports_what_is_left(
    strict: Flask, usual: Flask, member: Member, path: str
) -> None:
    with on_instance(usual, member) as same:
        answer = same.post(path, ROUTES[path])
    assert answer.status_code in (200, 422)
    assert answer.headers["RateLimit-Policy"] == '"orders";q=20;w=1, "orders-day";q=50000;w=86400'
    assert answer.headers["RateLimit"] == '"orders";r=20;t=1, "orders-day";r=49999;t=2'
    with on_instance(strict, member) as same:
        found = [same.post(path, ROUTES[path]) for _ in range(4)]
    assert [answer.status_code == 429 for answer in found] == [False, False, False, True]
    assert found[-1].headers["RateLimit-Policy"] == '"orders";q=20;w=1, "orders-day";q=3;w=86400'
    assert '"orders-day";r=0;t=' in found[-1].headers["RateLimit"]


def test_reading_and_other_accounts_are_not_limited(strict: Flask, stack: Stack, member: Member) -> None:
    with on_instance(strict, member) as same:
        assert [same.post("/trade/close", UNKNOWN) for _ in range(4)][-1].status_code == 429
        answers = [same.get("/trade/positions") for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[0].headers
    with on_instance(strict, sign_in(strict, stack)) as other:
        assert other.post("/trade/close", UNKNOWN).status_code == 422


def test_one_member_cannot_hold_all_requests(strict: Flask, stack: Stack, member: Member) -> None:
    """A quarter of 8 requests is 2. Another member is answered while the first one waits for the engine."""
    other = sign_in(strict, stack)
    for one in (member, other):
        eventually(lambda one=one: one.get("/account/balance").status_code == 200)

    def order(sender: Member) -> tuple[int, str | None, str | None]:
        with on_instance(strict, sender) as same:
            answer = same.post("/trade/create", LONG)
            code = (answer.json.get("error") or {}).get("code")
            return answer.status_code, code, answer.headers.get("Retry-After")

    with frozen(stack.workers[0].pid), ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(order, member) for _ in range(5)]
        another = pool.submit(order, other)
        found = sorted(future.result(20) for future in asked)
    assert found == [(202, None, None)] * 2 + [(503, "BUSY", "1")] * 3
    assert another.result() == (202, None, None)


def test_an_order_is_answered_while_redis_is_full(app: Flask, stack: Stack, member: Member) -> None:
    assert member.post("/trade/close", UNKNOWN).status_code == 422
    with redis.Redis.from_url(stack.settings.cache_url) as client:
        usual = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", "100kb")
        try:
            opened = member.post("/trade/create", LONG, key="full")
            assert opened.status_code == 200, opened.text  # from Postgres
            assert member.post("/trade/create", LONG | {"margin": "6000"}).status_code == 422
        finally:
            client.config_set("maxmemory", usual)
    trade = opened.json["data"]["trade"]
    eventually(
        lambda: [one["trade"] for one in member.get("/trade/positions").json["data"]["positions"]] == [trade],
        within_s=20,
    )
    assert stack.workers[0].poll() is None
