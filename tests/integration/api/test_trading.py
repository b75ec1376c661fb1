"""Trading through the API with a real engine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from tests.integration.api.test_losses import on_instance
from tests.support.api_stack import BTC, Member, Stack, eventually

LONG = {"symbol": BTC, "side": "long", "margin": "100", "leverage": 10}


def opened(member: Member, **changes: object) -> dict[str, str]:
    answer = member.post("/trade/create", LONG | changes)
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def test_a_first_sign_in_opens_an_account_with_the_initial_balance(member: Member) -> None:
    answer = member.get("/account/balance/usd")
    assert answer.status_code == 200
    assert answer.json["data"]["cash"] == "5000"
    assert answer.json["data"]["account"] == member.account


def test_a_trade_is_opened_listed_and_closed(member: Member, stack: Stack) -> None:
    stack.price("68983", "68983.1")
    trade = opened(member, stop_loss="60000", take_profit="80000")
    assert (trade["price"], trade["quantity"], trade["fee"]) == ("68983.1", "0.01449", "0.49978256")

    # A member reads their own writes at once.
    assert member.get("/account/balance").json["data"]["cash"] == "4899.50021744"
    [position] = member.get("/trade/positions").json["data"]["positions"]
    assert position["trade"] == trade["trade"]
    assert position["current_price"] == "68983"
    assert position["unrealised_profit"] == "-0.001449"
    assert (position["stop_loss"], position["take_profit"]) == ("60000", "80000")

    part = member.post("/trade/close", {"trade": trade["trade"], "quantity": "0.005"})
    assert part.json["data"]["quantity"] == "0.005"
    rest = member.post("/trade/close", {"trade": trade["trade"]})
    assert rest.json["data"]["quantity"] == "0.00949"
    assert member.get("/trade/positions").json["data"]["positions"] == []

    history = eventually(
        lambda: (page := member.get("/trade/history").json["data"])["pagination"]["total"] == 2 and page
    )
    last, first = history["items"]
    assert (first["quantity"], first["remaining"], first["reason"]) == ("0.005", "0.00949", "user")
    assert (last["quantity"], last["remaining"], last["profit"]) == ("0.00949", "0", "-0.000949")


def test_history_is_paged_and_filtered(member: Member) -> None:
    for _ in range(3):
        trade = opened(member, margin="10")
        assert member.post("/trade/close", {"trade": trade["trade"]}).status_code == 200
    eventually(lambda: member.get("/trade/history").json["data"]["pagination"]["total"] == 3)

    page = member.get("/trade/history?page=2&per_page=2").json["data"]
    assert page["pagination"] == {"page": 2, "per_page": 2, "total": 3, "total_pages": 2}
    assert len(page["items"]) == 1
    closed = [item["closed"] for item in member.get("/trade/history").json["data"]["items"]]
    assert closed == sorted(closed, reverse=True)
    later = member.get(f"/trade/history?from={closed[1]}&to={closed[0]}").json["data"]["items"]
    assert [item["closed"] for item in later] == [closed[1]]
    assert member.get(f"/trade/history?symbol={BTC}").json["data"]["pagination"]["total"] == 3
    assert member.get("/trade/history?symbol=ETH_USDC_PERP").json["data"]["items"] == []


def test_levels_are_amended_and_removed(member: Member) -> None:
    trade = opened(member, stop_loss="60000")
    answer = member.post("/trade/amend", {"trade": trade["trade"], "stop_loss": None, "take_profit": "90000"})
    assert answer.status_code == 200
    [position] = member.get("/trade/positions").json["data"]["positions"]
    assert (position["stop_loss"], position["take_profit"]) == (None, "90000")


def test_a_limit_order_rests_and_is_cancelled(member: Member) -> None:
    body = {"symbol": BTC, "side": "buy", "order_type": "limit", "quantity": "0.001", "price": "50000"}
    order = member.post("/trade/order", body).json["data"]["order"]
    [resting] = member.get("/trade/orders").json["data"]["orders"]
    assert (resting["order"], resting["price"]) == (order, "50000")
    assert member.get("/account/balance").json["data"]["locked"] == "50.025"
    assert member.post("/trade/cancel", {"order": order}).status_code == 200
    assert member.get("/trade/orders").json["data"]["orders"] == []
    assert member.get("/account/balance").json["data"]["cash"] == "5000"


def test_a_market_buy_adds_the_asset_to_the_balance(member: Member) -> None:
    answer = member.post("/trade/order", {"symbol": BTC, "side": "buy", "quantity": "0.001"})
    assert answer.status_code == 200
    assert member.get("/account/balance").json["data"]["balances"] == {"BTC": "0.001"}


def test_a_refusal_has_a_code_and_a_message(member: Member) -> None:
    answer = member.post("/trade/create", LONG | {"margin": "6000"}, key="too-much")
    assert answer.status_code == 422
    assert answer.json["error"]["code"] == "INSUFFICIENT_BALANCE"
    assert "too low" in answer.json["error"]["message"]
    assert answer.json["error"]["details"] == {"instruction": "too-much", "duplicate": False}

    later = eventually(lambda: (a := member.get("/trade/instructions/too-much")).status_code == 200 and a)
    assert later.json["data"]["status"] == "rejected"
    assert later.json["data"]["code"] == "INSUFFICIENT_BALANCE"
    assert "too low" in later.json["data"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/trade/create", LONG | {"symbol": "DOGE_USDC_PERP"}, "MARKET_NOT_FOUND"),
        ("/trade/create", LONG | {"leverage": 101}, "LEVERAGE_OUT_OF_RANGE"),
        ("/trade/create", LONG | {"stop_loss": "70000"}, "INVALID_STOP"),
        ("/trade/create", LONG | {"expected_price": "60000", "max_slippage_bps": 1}, "SLIPPAGE_EXCEEDED"),
        ("/trade/create", LONG | {"margin": "0"}, "BELOW_MINIMUM"),
        ("/trade/close", {"trade": "0:0:0"}, "TRADE_NOT_FOUND"),
        ("/trade/amend", {"trade": "0:0:0", "stop_loss": "1"}, "TRADE_NOT_FOUND"),
        ("/trade/cancel", {"order": "0:0:0"}, "ORDER_NOT_FOUND"),
        ("/trade/order", {"symbol": BTC, "side": "sell", "quantity": "0.001"}, "INSUFFICIENT_BALANCE"),
        ("/trade/order", {"symbol": BTC, "side": "buy", "quantity": "0.000000001"[:10]}, "INVALID_QUANTITY"),
    ],
)
def test_refused_orders_return_their_code(
    member: Member, path: str, body: dict[str, object], code: str
) -> None:
    answer = member.post(path, body)
    assert (answer.status_code, answer.json["error"]["code"]) == (422, code)
    assert member.get("/account/balance").json["data"]["cash"] == "5000"


def test_a_repeated_key_returns_the_first_answer_and_is_not_executed(member: Member) -> None:
    first = member.post("/trade/create", LONG, key="once")
    again = member.post("/trade/create", LONG, key="once")
    assert again.status_code == 200
    assert again.json["data"]["duplicate"] is True
    assert again.json["data"]["trade"] == first.json["data"]["trade"]
    assert len(member.get("/trade/positions").json["data"]["positions"]) == 1


def test_a_key_of_another_request_is_refused(member: Member) -> None:
    """Before, an order with the key of an earlier close got its TRADE_NOT_FOUND."""
    assert member.post("/trade/close", {"trade": "0:0:0"}, key="shared").status_code == 422
    order = {"symbol": BTC, "side": "buy", "quantity": "0.001"}
    refused = member.post("/trade/order", order, key="shared")
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert refused.json["error"]["message"].startswith("This Idempotency-Key belongs to another request.")
    assert member.get("/account/balance").json["data"]["balances"] == {}
    again = member.post("/trade/close", {"trade": "0:0:0"}, key="shared")
    assert (again.status_code, again.json["error"]["code"]) == (422, "TRADE_NOT_FOUND")
    assert again.json["error"]["details"] == {"instruction": "shared", "duplicate": True}


def test_a_key_of_another_body_is_refused(member: Member, stack: Stack) -> None:
    first = opened(member, margin="50")
    assert (
        member.post("/trade/close", {"trade": first["trade"], "quantity": "0.001"}, key="k").status_code
        == 200
    )
    for other in ({"trade": first["trade"]}, {"trade": first["trade"], "quantity": "0.002"}):
        assert member.post("/trade/close", other, key="k").status_code == 409
    same = {"trade": first["trade"], "quantity": "0.00100"}
    assert member.post("/trade/close", same, key="k").json["data"]["duplicate"]


def test_a_repeated_market_order_gets_its_answer_after_the_price_has_moved(
    member: Member, stack: Stack
) -> None:
    """The expected price that the API filled in is another one, but the client asks for the same."""
    first = member.post("/trade/create", LONG, key="moved").json["data"]
    stack.price("68990", "68990.1")
    try:
        again = member.post("/trade/create", LONG, key="moved")
    finally:
        stack.price("68983", "68983.1")
    assert (again.status_code, again.json["data"]["trade"]) == (200, first["trade"])
    named = member.post("/trade/create", LONG | {"expected_price": "1"}, key="moved")
    assert named.status_code == 409


def test_two_requests_with_one_key_at_once_do_not_share_an_answer(app: Flask, member: Member) -> None:
    bodies = [LONG | {"margin": margin} for margin in ("20", "30")]

    def send(body: dict[str, object]) -> tuple[int, dict[str, object]]:
        with on_instance(app, member) as same:
            answer = same.post("/trade/create", body, key="race")
            return answer.status_code, body

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(send, bodies))
    assert sorted(status for status, _ in found) == [200, 409]
    [position] = member.get("/trade/positions").json["data"]["positions"]
    [executed] = [body for status, body in found if status == 200]
    assert position["margin"] == executed["margin"]


def test_concurrent_requests_with_one_key_open_one_trade(app: Flask, member: Member) -> None:
    def send(_: int) -> int:
        client = app.test_client()
        for name in ("access_token_cookie", "csrf_access_token"):
            cookie = member.client.get_cookie(name)
            assert cookie is not None
            client.set_cookie(name, cookie.value)
        return (
            Member(
                client,
                {"account": member.account, "email": member.email, "csrf_token": member.csrf["X-CSRF-TOKEN"]},
            )
            .post("/trade/create", LONG, key="burst")
            .status_code
        )

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(send, range(6))) == {200}
    assert len(member.get("/trade/positions").json["data"]["positions"]) == 1


def test_trades_and_instructions_of_others_are_not_found(newcomer: Callable[..., Member]) -> None:
    owner, other = newcomer(), newcomer()
    trade = owner.post("/trade/create", LONG, key="mine").json["data"]["trade"]
    assert other.post("/trade/close", {"trade": trade}).json["error"]["code"] == "TRADE_NOT_FOUND"
    eventually(lambda: owner.get("/trade/instructions/mine").status_code == 200)
    assert other.get("/trade/instructions/mine").status_code == 404
    assert other.get("/trade/positions").json["data"]["positions"] == []


def test_a_market_order_uses_the_last_price_and_the_default_slippage(member: Member, stack: Stack) -> None:
    """The price on the log jumps while the last price in Redis stays: the order must be refused."""
    import redis

    stack.price("70000", "70000.1")
    try:
        with redis.Redis.from_url(stack.settings.cache_url) as client:
            client.hset(f"price:{BTC}", mapping={"bid": "68983", "ask": "68983.1"})
        answer = member.post("/trade/create", LONG)
        assert answer.json["error"]["code"] == "SLIPPAGE_EXCEEDED"
    finally:
        stack.price("68983", "68983.1")
    assert member.post("/trade/create", LONG).status_code == 200


def test_assets_include_prices(member: Member) -> None:
    assets = eventually(lambda: member.get("/account/assets").json["data"]["assets"])
    [btc] = [asset for asset in assets if asset["symbol"] == BTC]
    assert (btc["base"], btc["quantity_step"], btc["max_leverage"]) == ("BTC", "0.00001", 100)
    assert (btc["bid"], btc["ask"]) == ("68983", "68983.1")


def test_an_instruction_id_may_contain_any_visible_character(member: Member) -> None:
    key = "a/b//c?d#e%f&g"
    assert member.post("/trade/create", LONG | {"margin": "6000"}, key=key).status_code == 422
    from urllib.parse import quote

    eventually(lambda: member.get(f"/trade/instructions/{quote(key, safe='')}").status_code == 200)


def test_an_unknown_instruction_is_not_found(member: Member) -> None:
    answer = member.get("/trade/instructions/never-sent")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "NOT_FOUND")


def test_the_leaderboard_is_empty_before_the_first_publication(app: Flask) -> None:
    answer = app.test_client().get("/api/v1/leaderboard?period=week")
    assert answer.status_code == 200
    assert answer.json["data"]["items"] == []
    assert answer.json["data"]["reason"] == "No leaderboard has been published yet."
