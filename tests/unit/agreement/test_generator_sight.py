"""The generated scenarios cover every rule: each refusal and reason occurs, and each wrong rule is detected.

Comparing two engines proves nothing about rules that the messages never reach. So each rule is broken once in
the reference, and the scenarios must then give other outputs.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.support.engine_messages import Scenario
from tests.support.reference import numbers
from tests.support.reference.engine import ReferenceEngine
from tests.support.reference.records import CLASSES, Due, Order
from tests.support.reference.shard import refuse

SEEDS = range(12)
LENGTH = 2000

REFUSALS = {
    "ACCOUNT_EXISTS",
    "ACCOUNT_NOT_FOUND",
    "ACCOUNT_HALTED",
    "MARKET_NOT_FOUND",
    "MARKET_HALTED",
    "PRICE_STALE",
    "LEVERAGE_OUT_OF_RANGE",
    "INVALID_STOP",
    "INVALID_QUANTITY",
    "SLIPPAGE_EXCEEDED",
    "BELOW_MINIMUM",
    "LIQUIDATES_AT_ONCE",
    "INSUFFICIENT_BALANCE",
    "TRADE_NOT_FOUND",
    "ORDER_NOT_FOUND",
}
TRADE_REASONS = {"user", "stop_loss", "take_profit", "trailing_stop", "liquidation"}
ORDER_REASONS = {"filled", "cancelled", "rejected"}


@cache
def scenarios() -> list[Scenario]:
    return [Scenario(seed, LENGTH) for seed in SEEDS]


def outputs_of(kind: str) -> list[dict[str, Any]]:
    return [o for s in scenarios() for outputs in s.outputs for o in outputs if o["type"] == kind]


def test_every_refusal_occurs() -> None:
    seen = Counter(output["code"] for output in outputs_of("order_response"))
    assert set(seen) == {*REFUSALS, None}


@pytest.mark.parametrize("side", ["long", "short"])
def test_every_reason_ends_trades_of_both_sides(side: str) -> None:
    reasons = {output["reason"] for output in outputs_of("closed_order") if output["side"] == side}
    assert reasons == TRADE_REASONS


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_every_reason_ends_orders(side: str) -> None:
    reasons = {output["reason"] for output in outputs_of("closed_order") if output["side"] == side}
    assert reasons == (ORDER_REASONS if side == "buy" else ORDER_REASONS - {"rejected"})


def test_every_reason_to_drop_a_price_occurs() -> None:
    dropped: Counter[str] = Counter()
    for scenario in scenarios():
        dropped.update(scenario.reference.dropped)
    assert set(dropped) == {
        "market_not_configured",
        "update_id_not_above_last",
        "price_zero",
        "bid_not_below_ask",
    }


def test_rare_events_occur() -> None:
    closed = outputs_of("closed_order")
    messages = [outputs for s in scenarios() for outputs in s.outputs]
    assert any(output["duplicate"] and output["code"] is None for output in outputs_of("order_response"))
    assert any(output["remaining"] != "0" for output in closed)
    assert any(s.reference.ledger.of("", "insurance") < 0 for s in scenarios())
    assert any(s.reference.undecodable for s in scenarios())
    accounts_hit = [{o["account"] for o in outputs if o["type"] == "balance_update"} for outputs in messages]
    assert max(map(len, accounts_hit)) >= 3
    symbols_ended = [{o["symbol"] for o in outputs if o["type"] == "closed_order"} for outputs in messages]
    assert max(map(len, symbols_ended)) == 2, "no OCO pair across symbols fired"


# ── wrong rules ─────────────────────────────────────────────────────────────────────────────────────


def without(*codes: str) -> Callable[..., Any]:
    """A `refuse` that ignores some codes."""

    def refuse_other_codes(code: str, when: bool) -> None:
        if code not in codes:
            refuse(code, when)

    return refuse_other_codes


def swapped(first: str, second: str) -> tuple[str, ...]:
    other = {first: second, second: first}
    return tuple(other.get(name, name) for name in CLASSES)


def down(price: int, quantity: int) -> int:
    return price * quantity // numbers.ONE


def truncated_profit(side: str, entry: int, exit_price: int, quantity: int) -> int:
    gain = exit_price - entry if side == "long" else entry - exit_price
    return int(gain > 0) * (gain * quantity // numbers.ONE) - int(gain < 0) * (
        -gain * quantity // numbers.ONE
    )


def fee_rounded_down(price: int, quantity: int, rate_bps: int) -> int:
    return numbers.notional_up(price, quantity) * rate_bps // numbers.BPS


def level_rounded_up(side: str, entry: int, quantity: int, margin: int, rate_bps: int) -> int | None:
    maintenance = numbers.share_of_notional(entry, quantity, rate_bps)
    distance = -(-(margin - maintenance) * numbers.ONE // quantity)
    return entry - distance if side == "long" and distance < entry else entry + distance


def later_turn_first(due: Due) -> tuple[int, int, int]:
    price, level_class, turn = TURN_TO_FIRE(due)
    return price, level_class, -turn


def class_before_price(due: Due) -> tuple[int, int, int]:
    price, level_class, turn = TURN_TO_FIRE(due)
    return level_class, price, turn


def amend_keeping_turns(engine: ReferenceEngine, trade: Any, m: Any, market: Any) -> None:
    before = {name: level.turn for name, level in trade.levels.items()}
    SET_LEVELS(engine, trade, m, market)
    for name, turn in before.items():
        if name in trade.levels:
            trade.levels[name].turn = turn


def rising_first(engine: ReferenceEngine, market: Any, *, falling: bool) -> None:
    FIRE(engine, market, falling=not falling)


def loose_partners(engine: ReferenceEngine, order: Order, *rest: Any) -> None:
    order.partner = None
    END(engine, order, *rest)


def remembering_openings(engine: ReferenceEngine, m: Any) -> Any:
    known = (m["account"], m["id"]) in engine.answers
    response = ANSWER(engine, m)
    if not known and m["kind"] == "open_account" and response["status"] == "accepted":
        engine.answers[m["account"], m["id"]] = engine.log_time, dict(response)
    return response


def fill_at_taker_rate(engine: ReferenceEngine, order: Order, market: Any) -> None:
    maker, market.maker_rate_bps = market.maker_rate_bps, market.taker_rate_bps
    FILL_RESTING(engine, order, market)
    market.maker_rate_bps = maker


def trailing_while_halted(engine: ReferenceEngine, m: Any) -> None:
    TAKE_PRICE(engine, m)
    if m["symbol"] in engine.markets and engine.markets[m["symbol"]].bid:
        engine.move_trailing_levels(engine.markets[m["symbol"]])


def firing_while_halted(engine: ReferenceEngine, m: Any) -> None:
    market = engine.markets.get(m["symbol"])
    halted = market is not None and market.halted
    if market is not None:
        market.halted = False
    TAKE_PRICE(engine, m)
    if market is not None:
        market.halted = halted


def amended_trailing_stays_close(engine: ReferenceEngine, trade: Any, m: Any, market: Any) -> None:
    before = trade.levels.get("trailing_stop")
    SET_LEVELS(engine, trade, m, market)
    after = trade.levels.get("trailing_stop")
    if before and after and before is not after:
        after.price = (max if trade.side == "long" else min)(before.price, after.price)


def partners_lock_counts(engine: ReferenceEngine, order: Order, market: Any) -> None:
    partner = engine.orders.get(order.partner or "")
    if partner and partner.side == order.side == "buy":
        engine.move_lock(partner, -partner.lock)
        partner.lock = 0
    FILL_RESTING(engine, order, market)


def stale_at_the_limit(engine: ReferenceEngine, symbol: str) -> Any:
    market = OPEN_MARKET(engine, symbol)
    refuse("PRICE_STALE", engine.log_time - market.accepted_at == market.max_price_age_us)
    return market


def forgetting_refusals(engine: ReferenceEngine, m: Any) -> Any:
    response = ANSWER(engine, m)
    if response["status"] == "rejected":
        engine.answers.pop((m["account"], m["id"]), None)
    return response


def counting_from_the_last_answer(engine: ReferenceEngine, m: Any) -> Any:
    response = ANSWER(engine, m)
    if response["duplicate"]:
        _, first = engine.answers[m["account"], m["id"]]
        engine.answers[m["account"], m["id"]] = engine.log_time, first
    return response


def rates_of_the_past(engine: ReferenceEngine, m: Any) -> None:
    if m["symbol"] not in engine.markets:
        CONFIGURE(engine, m)


def base_changes(engine: ReferenceEngine, m: Any) -> None:
    CONFIGURE(engine, m)
    engine.markets[m["symbol"]].base = m["base"]


def another_base_is_ignored(engine: ReferenceEngine, m: Any) -> None:
    known = engine.markets.get(m["symbol"])
    if known is None or known.base == m["base"]:
        CONFIGURE(engine, m)


TURN_TO_FIRE = Due.turn_to_fire
SET_LEVELS = ReferenceEngine.set_levels
FIRE = ReferenceEngine.fire
END = ReferenceEngine.end
ANSWER = ReferenceEngine.answer
FILL_RESTING = ReferenceEngine.fill_resting
TAKE_PRICE = ReferenceEngine.take_price
OPEN_MARKET = ReferenceEngine.open_market
CONFIGURE = ReferenceEngine.configure

ENGINE = "tests.support.reference.engine.ReferenceEngine."
NUMBERS = "tests.support.reference.numbers."
RECORDS = "tests.support.reference.records."

WRONG_RULES: dict[str, tuple[str, Any]] = {
    "liquidation after stop loss": (RECORDS + "CLASSES", swapped("liquidation", "stop_loss")),
    "trailing stop before stop loss": (RECORDS + "CLASSES", swapped("stop_loss", "trailing_stop")),
    "take profit before trailing stop": (RECORDS + "CLASSES", swapped("trailing_stop", "take_profit")),
    "orders before take profit": (RECORDS + "CLASSES", swapped("take_profit", "order")),
    "set later fires first": (RECORDS + "Due.turn_to_fire", later_turn_first),
    "class before level": (RECORDS + "Due.turn_to_fire", class_before_price),
    "rising levels first": (ENGINE + "fire", rising_first),
    "an amendment keeps its turn": (ENGINE + "set_levels", amend_keeping_turns),
    "trailing levels stand still": (ENGINE + "move_trailing_levels", lambda *_: None),
    "partners live on": (ENGINE + "end", loose_partners),
    "openings are remembered": (ENGINE + "answer", remembering_openings),
    "a resting limit pays the taker rate": (ENGINE + "fill_resting", fill_at_taker_rate),
    "trailing levels move while halted": (ENGINE + "take_price", trailing_while_halted),
    "levels fire while halted": (ENGINE + "take_price", firing_while_halted),
    "an amended trailing stop stays close": (ENGINE + "set_levels", amended_trailing_stays_close),
    "a partner's lock counts": (ENGINE + "fill_resting", partners_lock_counts),
    "stale at the limit": (ENGINE + "open_market", stale_at_the_limit),
    "refusals are not remembered": (ENGINE + "answer", forgetting_refusals),
    "a day from the last answer": (ENGINE + "answer", counting_from_the_last_answer),
    "configured once for all": (ENGINE + "configure", rates_of_the_past),
    "the base changes": (ENGINE + "configure", base_changes),
    "another base is ignored whole": (ENGINE + "configure", another_base_is_ignored),
    "a sell's fee above its proceeds": ("tests.support.reference.orders.min", lambda fee, _: fee),
    "a day and a microsecond": (NUMBERS + "DAY_US", numbers.DAY_US + 1),
    "a microsecond less than a day": (NUMBERS + "DAY_US", numbers.DAY_US - 1),
    "notional down where it is charged": (NUMBERS + "notional_up", down),
    "profit toward zero": (NUMBERS + "profit", truncated_profit),
    "fees down": (NUMBERS + "share_of_notional", fee_rounded_down),
    "liquidation distance up": (NUMBERS + "liquidation_level", level_rounded_up),
    "no step for quantities": (NUMBERS + "down_to_step", lambda quantity, _: quantity),
    "no slippage bound": (NUMBERS + "slipped", lambda *_: False),
}
for chapter, codes in {
    "trades": [
        "ACCOUNT_HALTED",
        "LEVERAGE_OUT_OF_RANGE",
        "INVALID_STOP",
        "BELOW_MINIMUM",
        "LIQUIDATES_AT_ONCE",
    ],
    "orders": ["ACCOUNT_HALTED", "INVALID_QUANTITY", "INVALID_STOP", "BELOW_MINIMUM"],
    "shard": ["MARKET_HALTED"],
}.items():
    WRONG_RULES |= {
        f"{chapter} know no {code}": (f"tests.support.reference.{chapter}.refuse", without(code))
        for code in codes
    }


@pytest.mark.parametrize("rule", WRONG_RULES)
def test_each_wrong_rule_is_detected(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = scenarios()
    monkeypatch.setattr(*WRONG_RULES[rule], raising=False)
    assert any(is_detected(scenario) for scenario in right), (
        "no scenario gives other outputs with the wrong rule"
    )


def is_detected(scenario: Scenario) -> bool:
    """Whether outputs differ or the reference raises."""
    engine = ReferenceEngine(shard=scenario.reference.shard)
    for line, expected in zip(scenario.lines, scenario.outputs, strict=True):
        try:
            if engine.apply_line(line) != expected:
                return True
        except (ArithmeticError, AssertionError, LookupError):
            return True
    return False
