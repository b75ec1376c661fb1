"""The levels that a price fires, and their order."""

import pytest

from paceline.engine import Engine
from tests.support.scenario import SYMBOL, EngineDriver, endings, ready_driver


def test_falling_levels_fire_highest_first_then_rising_lowest_first() -> None:
    driver = ready_driver(balance="100000")
    low, high = driver.trade(stop_loss="90"), driver.trade(stop_loss="95")
    short = driver.trade(side="short", stop_loss="103")
    gain = driver.trade(side="short", take_profit="99")
    far = driver.trade(side="short", stop_loss="102")
    # One update with the bid fallen to 89 and the ask risen to 104 (a wide market).
    assert endings(driver.price("89", "104")) == [
        (high, "stop_loss"),
        # liquidations of the two longs at 91.40… come before the stop loss at 90, which is then gone
        (low, "liquidation"),
        (far, "stop_loss"),
        (short, "stop_loss"),
    ]
    assert driver.engine.open_trade(gain) is not None


def test_equal_levels_fire_by_class_and_then_by_the_message_that_set_them() -> None:
    driver = ready_driver(balance="100000")
    driver.order(order_type="market", quantity="10")
    order = driver.order(side="sell", order_type="stop", price="95", quantity="1")
    gain = driver.trade(side="short", take_profit="96")
    trailing = driver.trade(trailing_stop="5")
    amended, later = driver.trade(stop_loss="95"), driver.trade(stop_loss="95")
    driver.send("amend_trade", account="a", trade=amended, stop_loss="95")
    driver.send("amend_trade", account="a", trade=gain, take_profit="95")
    assert endings(driver.price("94.9", "95")) == [
        (later, "stop_loss"),
        (amended, "stop_loss"),
        (trailing, "trailing_stop"),
        (gain, "take_profit"),
        (order, "filled"),
    ]


def test_liquidation_comes_before_a_stop_loss_at_its_level() -> None:
    driver = ready_driver()
    trade = driver.trade(stop_loss="91.4039899")
    assert endings(driver.price("91.4039899", "92")) == [(trade, "liquidation")]


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    ("side", "nearer", "farther", "liquidated"),
    [("long", "95", "90", ("91.4", "91.5")), ("short", "105", "110", ("109.4", "109.5"))],
)
def test_a_trade_is_liquidated_after_its_stop_loss_is_removed(
    side: str, nearer: str, farther: str, liquidated: tuple[str, str], loaded: bool
) -> None:
    driver = ready_driver(balance="100000")
    removed, moved, kept = (driver.trade(side=side, stop_loss=nearer) for _ in range(3))
    driver.send("amend_trade", account="a", trade=removed, stop_loss=None)
    driver.send("amend_trade", account="a", trade=moved, stop_loss=farther)
    for stop in (None, nearer, farther, nearer):
        driver.send("amend_trade", account="a", trade=kept, stop_loss=stop)
    if loaded:
        driver.engine = Engine.load(driver.engine.dump_slices())
    assert endings(driver.price(*liquidated)) == [
        (kept, "stop_loss"),
        (removed, "liquidation"),
        (moved, "liquidation"),
    ]


def test_a_liquidation_level_is_watched_once_after_repeated_removals() -> None:
    driver = ready_driver(balance="100000")
    trade = driver.trade(stop_loss="95")
    liquidations = driver.engine._state.markets[SYMBOL].books._bid.liquidations
    assert not liquidations._entries  # the stop loss lies before it
    for stop in (None, "95", "90", "95", None):
        driver.send("amend_trade", account="a", trade=trade, stop_loss=stop)
        assert len(liquidations._entries) == 1
    driver.send("close_trade", account="a", trade=trade, quantity="0.5")
    driver.send("close_trade", account="a", trade=trade)
    assert liquidations._dead == 1


def test_a_level_fires_at_the_price_of_the_update() -> None:
    driver = ready_driver()
    driver.trade(take_profit="120")
    closed = driver.price("125", "126")[0]
    assert (closed["reason"], closed["exit"]) == ("take_profit", "125")


def test_longs_watch_the_bid_and_shorts_the_ask() -> None:
    driver = ready_driver()
    long, short = driver.trade(stop_loss="95"), driver.trade(side="short", stop_loss="105")
    assert driver.price("95.1", "104.9") == []
    assert endings(driver.price("95", "104.9")) == [(long, "stop_loss")]
    assert endings(driver.price("95", "105")) == [(short, "stop_loss")]


def test_a_trailing_stop_only_moves_one_way_and_before_anything_fires() -> None:
    driver = ready_driver()
    trade = driver.trade(trailing_stop="5")
    for bid, level in (("100", "95"), ("103", "98"), ("99", "98"), ("110", "105"), ("105.1", "105")):
        assert driver.price(bid, "111") == []
        now = driver.engine.open_trade(trade)
        assert now is not None
        assert driver.engine.trailing_level(now) == int(level) * 10**8
    assert endings(driver.price("105", "111")) == [(trade, "trailing_stop")]


def test_a_short_trails_the_ask() -> None:
    driver = ready_driver()
    trade = driver.trade(side="short", trailing_stop="5")
    assert driver.price("90", "91") == []
    assert driver.price("95", "95.9") == []
    assert endings(driver.price("95", "96")) == [(trade, "trailing_stop")]


def test_an_amended_trailing_stop_starts_from_the_current_price() -> None:
    driver = ready_driver()
    trade = driver.trade(trailing_stop="5")
    driver.price("110", "111")
    driver.price("107", "108")
    driver.send("amend_trade", account="a", trade=trade, trailing_stop="5")
    assert driver.price("103", "104") == []
    assert endings(driver.price("102", "103")) == [(trade, "trailing_stop")]


def test_a_halted_market_fires_nothing_until_the_first_price_after_it() -> None:
    driver = ready_driver()
    stop, trailing = driver.trade(stop_loss="95"), driver.trade(trailing_stop="5")
    driver.send("halt_market")
    assert driver.price("120", "121") == []
    assert driver.price("94", "95") == []
    driver.send("resume_market")
    assert endings(driver.price("93", "94")) == [(stop, "stop_loss"), (trailing, "trailing_stop")]


def test_a_high_during_a_halt_does_not_count() -> None:
    driver = ready_driver()
    trailing = driver.trade(trailing_stop="5")
    driver.send("halt_market")
    driver.price("120", "121")
    driver.send("resume_market")
    assert driver.price("100", "101") == []
    now = driver.engine.open_trade(trailing)
    assert now is not None
    assert driver.engine.trailing_level(now) == 95 * 10**8


def test_stops_set_between_resume_and_first_price_keep_their_own_highs() -> None:
    driver = ready_driver()
    old = driver.trade(trailing_stop="5")
    driver.send("halt_market")
    driver.price("110", "111")
    driver.send("resume_market")
    new = driver.trade(trailing_stop="8")
    assert driver.price("106", "107") == []
    levels = {}
    for trade in driver.engine.open_trades():
        levels[trade.id] = driver.engine.trailing_level(trade)
    assert levels == {old: 101 * 10**8, new: 102 * 10**8}
    assert driver.price("108", "109") == []
    assert endings(driver.price("102.5", "103.5")) == [(old, "trailing_stop")]
    assert endings(driver.price("102", "103")) == [(new, "trailing_stop")]


def test_a_trade_closed_earlier_in_the_update_does_not_fire() -> None:
    driver = ready_driver()
    first = driver.order(order_type="stop", price="105", quantity="0.1")
    second = driver.order(order_type="stop", price="106", quantity="0.1", oco_with=first)
    assert endings(driver.price("106", "107")) == [(first, "filled"), (second, "cancelled")]


def test_each_changed_account_has_one_balance_update_in_the_order_of_change() -> None:
    driver = ready_driver()
    driver.open("b")
    driver.trade("b", stop_loss="95")
    driver.trade("a", stop_loss="94")
    driver.trade("b", stop_loss="93")
    outputs = driver.price("93", "94")
    assert [output["type"] for output in outputs] == ["closed_order"] * 3 + ["balance_update"] * 2
    assert [output["account"] for output in outputs[3:]] == ["b", "a"]
    assert [output["id"].split(":")[2] for output in outputs] == ["0", "1", "2", "3", "4"]


def test_prices_are_dropped_by_the_first_reason_that_applies() -> None:
    driver = EngineDriver()
    driver.price("100", "101", symbol="NONE")
    driver.price("100", "101", update_id=50)
    driver.price("0", "101", update_id=50)
    driver.price("0", "101", update_id=51)
    driver.price("101", "0", update_id=51)
    driver.price("101", "101", update_id=51)
    assert driver.engine.price_of("BTC_USD") == (100 * 10**8, 101 * 10**8)
    assert driver.engine.stats().dropped == {
        "market_not_configured": 1,
        "update_id_not_above_last": 1,
        "price_zero": 2,
        "bid_not_below_ask": 1,
    }


def test_trailing_stops_set_on_the_way_down_keep_their_own_highs() -> None:
    """Many groups of one market: each stop must fire exactly at its own highest bid less its distance."""
    driver = ready_driver(balance="1000000")
    bids = [100, 99, 98, 99, 97, 96, 98, 95, 99, 94, 101, 93]
    high: dict[str, int] = {}
    for bid in bids:
        fired = endings(driver.price(str(bid), "102"))
        high = {trade: max(seen, bid) for trade, seen in high.items()}
        due = {trade for trade, seen in high.items() if bid <= seen - 4}
        assert {trade for trade, _ in fired} == due
        high = {trade: seen for trade, seen in high.items() if trade not in due}
        high[driver.trade(trailing_stop="4", leverage=1)] = bid
    assert high
