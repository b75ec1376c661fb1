"""Demo traders: decisions, market view, and stored sessions."""

import random
import stat
from decimal import Decimal
from pathlib import Path

import pytest

from paceline.core.money import parse_decimal
from sandbox.traders.api import SavedSession
from sandbox.traders.prices import PriceHistory
from sandbox.traders.runner import load_sessions, save_sessions
from sandbox.traders.styles import STYLES, Style, Tick, display_name, plan, style_of
from sandbox.traders.trader import _text

TREND = next(style for style in STYLES if style.name == "Trend")._replace(skill=1.0)


def ticks(*prices: str, every_s: float = 10) -> list[Tick]:
    return [Tick(n * every_s, Decimal(price), Decimal(price) + 1) for n, price in enumerate(prices)]


def decide(style: Style, seen: list[Tick], cash: str = "1000", seed: int = 1):  # type: ignore[no-untyped-def]
    return plan(style, seen, Decimal(cash), 100, random.Random(seed))


def test_trend_followers_trade_with_the_trend_and_contrarians_against_it() -> None:
    rising = ticks("1000", "1001", "1002", "1003")
    falling = ticks("1003", "1002", "1001", "1000")
    assert decide(TREND, rising).side == "long"
    assert decide(TREND, falling).side == "short"
    assert decide(TREND._replace(follow=-1), rising).side == "short"


@pytest.mark.parametrize("seen", [[], ticks("1000", "1001"), ticks("1000", "1000", "1000.1", "1000.1")])
def test_without_a_trend_a_follower_waits(seen: list[Tick]) -> None:
    assert decide(TREND, seen) is None


def test_without_skill_the_side_is_random() -> None:
    coin = TREND._replace(skill=0.0)
    sides = {decide(coin, ticks("1000"), seed=seed).side for seed in range(20)}
    assert sides == {"long", "short"}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("side", ["long", "short"])
def test_levels_are_on_their_valid_side_and_numbers_can_be_parsed(style: Style, side: str) -> None:
    for price in ("68983.1", "0.8123", "218.61234567"):
        seen = [Tick(0, Decimal(price), Decimal(price) + Decimal("0.0001"))]
        found = next(
            wanted
            for seed in range(100)
            if (wanted := decide(style._replace(skill=0.0), seen, seed=seed)) and wanted.side == side
        )
        bid, ask = seen[0].bid, seen[0].ask
        below, above = (
            (found.stop_loss, found.take_profit) if side == "long" else (found.take_profit, found.stop_loss)
        )
        assert below is None or below < bid
        assert above is None or above > ask
        assert (found.stop_loss is None) == (style.stop_bps == 0)
        assert 0 < found.margin < 1000
        assert 1 <= found.leverage <= 100
        for number in (found.margin, found.stop_loss, found.take_profit):
            assert number is None or parse_decimal(_text(number)) > 0


def test_leverage_is_limited_by_the_market() -> None:
    found = plan(STYLES[-1]._replace(skill=0.0), ticks("10"), Decimal(1000), 20, random.Random(1))
    assert found is not None
    assert found.leverage == 20


def test_a_trader_without_enough_cash_does_not_trade() -> None:
    assert decide(TREND._replace(skill=0.0), ticks("1000"), cash="0.05") is None


def test_names_are_different_and_fit_the_api() -> None:
    names = [display_name(number) for number in range(500)]
    assert len(set(names)) == 500
    assert all(1 <= len(name) <= 40 for name in names)
    assert {style_of(number).name for number in range(20)} == {style.name for style in STYLES}


def asset(bid: str | None, time: int) -> dict[str, object]:
    return {"symbol": "BTC", "bid": bid, "ask": bid, "price_time": time, "max_leverage": 100}


def test_the_market_keeps_two_minutes_of_new_prices() -> None:
    market = PriceHistory()
    market.take([asset(None, 0)], now_s=0)
    assert market.ticks == {}
    for second in range(300):
        market.take([asset("100", second)], now_s=second)
    market.take([asset("100", 299)], now_s=400)  # the same price again: ignored
    assert len(market.ticks["BTC"]) == 120
    assert market.ticks["BTC"][-1].at_s == 299


def test_stored_sessions_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "traders" / "sessions.json"
    sessions = {"a@b.c": SavedSession({"access_token_cookie": "x"}, "token")}
    for _ in range(2):
        save_sessions(path, sessions)
    assert load_sessions(path) == sessions
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("{")
    assert load_sessions(path) == {}
    assert load_sessions(tmp_path / "missing") == {}
