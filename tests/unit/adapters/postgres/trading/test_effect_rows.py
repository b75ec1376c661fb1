"""The rows that the writer makes of each kind of effect."""

from typing import Any

from paceline.adapters.postgres.copy_rows import NULL
from paceline.adapters.postgres.trading.effect_rows import RowMaker, trades_wanted
from paceline.adapters.postgres.trading.history import COLUMNS
from paceline.core.money import SCALE
from paceline.domain.trading.open_trade import OpenTrade
from paceline.engine import Engine
from paceline.messages.inbound import (
    AmendTrade,
    CloseTrade,
    ConfigureMarket,
    CreateTrade,
    Deposit,
    Inbound,
    OpenAccount,
    PriceUpdate,
    Withdraw,
)
from paceline.messages.outbound import Effect

SYMBOL = "BTC_USDC_PERP"
MARKET = ConfigureMarket("m", 1, SYMBOL, "BTC", 1000, 5 * SCALE, 100, 2, 5, 50, 5_000_000)
PRICE = PriceUpdate("p", 2, SYMBOL, 60_000 * SCALE, SCALE, 60_001 * SCALE, SCALE, 1)
ACCOUNT = OpenAccount("o", 3, "a", 5000 * SCALE)
TRADE = CreateTrade("t", 4, "a", SYMBOL, "long", 100 * SCALE, 10, stop_loss=59_000 * SCALE)


def effects_of(*messages: Inbound) -> list[Effect]:
    engine = Engine()
    return [Effect(at, engine.log_time, m, engine.apply(m)) for at, m in enumerate(messages)]


def rows_of(effects: list[Effect], trades: dict[str, OpenTrade] | None = None) -> dict[str, list[Any]]:
    """Rows by table; a row maps columns to text, or None for null."""
    maker = RowMaker(0, trades or {})
    for effect in effects:
        maker.add(effect)
    return {
        table: [dict(zip(COLUMNS[table], map(_value, row.split("\t")), strict=True)) for row in rows]
        for table, rows in maker.rows.items()
    }


def _value(text: str) -> str | None:
    return None if text == NULL else text


def test_a_price_without_outputs_has_no_rows() -> None:
    assert rows_of(effects_of(MARKET, PRICE)[1:]) == {}


def test_market_amounts_are_scaled_by_1e8() -> None:
    [row] = rows_of(effects_of(MARKET))["markets"]
    assert (row["quantity_step"], row["min_notional"], row["max_leverage"]) == (
        "1000e-8",
        "500000000e-8",
        "100",
    )


def test_deposits_are_positive_and_withdrawals_negative() -> None:
    effects = effects_of(ACCOUNT, Deposit("d", 4, "a", 7), Withdraw("w", 5, "a", 3))
    found = [(row["kind"], row["amount"]) for row in rows_of(effects)["deposits"]]
    assert found == [("initial", "500000000000e-8"), ("deposit", "7e-8"), ("withdraw", "-3e-8")]


def test_a_refused_instruction_has_only_its_answer() -> None:
    rows = rows_of(effects_of(Deposit("d", 4, "unknown", 7)))
    assert rows.keys() == {"instructions"}
    [row] = rows["instructions"]
    assert (row["status"], row["code"], row["duplicate"]) == ("rejected", "ACCOUNT_NOT_FOUND", "False")


def test_a_repeated_instruction_has_no_further_rows() -> None:
    rows = rows_of(effects_of(MARKET, PRICE, ACCOUNT, TRADE, TRADE))
    assert len(rows["trade_changes"]) == 1
    assert [row["duplicate"] for row in rows["instructions"][-2:]] == ["False", "True"]


def test_an_admin_instruction_has_no_account_and_no_answer() -> None:
    [row] = rows_of(effects_of(MARKET))["instructions"]
    assert (row["kind"], row["account"], row["status"], row["response"]) == (
        "configure_market",
        None,
        None,
        None,
    )


def test_rows_of_a_trade_from_open_to_close() -> None:
    effects = effects_of(
        MARKET,
        PRICE,
        ACCOUNT,
        TRADE,
        AmendTrade("x", 5, "a", "0:3:0", sets=3, stop_loss=None, take_profit=61_000 * SCALE),
        CloseTrade("c", 6, "a", "0:3:0", quantity=500_000),
        CloseTrade("e", 7, "a", "0:3:0"),
    )
    rows = rows_of(effects)
    changes, closings = rows["trade_changes"], rows["closed_orders"]
    assert [(c["event"], c["reason"]) for c in changes] == [
        ("opened", None),
        ("amended", None),
        ("reduced", "user"),
    ]
    assert [c["quantity"] for c in changes] == ["1666000e-8", "0e-8", "500000e-8"]
    assert [c["remaining_quantity"] for c in changes] == ["1666000e-8", "1666000e-8", "1166000e-8"]
    assert [(c["stop_loss"], c["take_profit"]) for c in changes] == [
        ("5900000000000e-8", None),
        *[(None, "6100000000000e-8")] * 2,
    ]
    assert {c["liquidation"] for c in changes} == {changes[0]["liquidation"]}
    assert [(c["quantity"], c["remaining"], c["reason"]) for c in closings] == [
        ("500000e-8", "1166000e-8", "user"),
        ("1166000e-8", "0e-8", "user"),
    ]
    parts = [int(c["margin"].removesuffix("e-8")) for c in closings]
    assert sum(parts) == 100 * SCALE
    assert changes[-1]["remaining_margin"] == closings[-1]["margin"]


def test_earlier_state_is_needed_of_trades_opened_before_the_batch() -> None:
    part = CloseTrade("c", 6, "a", "0:3:0", quantity=500_000)
    effects = effects_of(MARKET, PRICE, ACCOUNT, TRADE, part, CloseTrade("e", 7, "a", "0:3:0"))
    assert trades_wanted(effects) == set()
    assert trades_wanted(effects[4:]) == {"0:3:0"}
    assert trades_wanted(effects[5:]) == set()


def test_a_closed_trade_is_removed_from_memory() -> None:
    effects = effects_of(MARKET, PRICE, ACCOUNT, TRADE, CloseTrade("e", 7, "a", "0:3:0"))
    maker = RowMaker(0, {})
    for effect in effects[:-1]:
        maker.add(effect)
    assert maker.trades.keys() == {"0:3:0"}
    maker.add(effects[-1])
    assert not maker.trades


def test_special_characters_stay_inside_their_columns() -> None:
    odd = 'tab\tline\nreturn\rback\\slash "quote" \x01'
    [row] = rows_of(effects_of(Deposit(odd, 4, "a\tb", 7)))["instructions"]
    assert row["instruction"] == 'tab\\tline\\nreturn\\rback\\\\slash "quote" ␁'
    assert row["account"] == "a\\tb"
    assert row["message"].count("\\\\t") == 2  # JSON's own escape, escaped again for COPY
