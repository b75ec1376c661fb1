"""A few messages of one shard that cover everything a member can look at."""

from typing import Any

import msgspec

from paceline.core.money import SCALE
from paceline.core.times import DAY_US
from paceline.messages.inbound import (
    CloseTrade,
    ConfigureMarket,
    CreateTrade,
    Deposit,
    OpenAccount,
    PlaceOrder,
    PriceUpdate,
)
from paceline.messages.json_form import output_to_json
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse
from paceline.ports.trading import Answer, AnsweredInstruction, Balance, ClosedOrderRow
from tests.support.scenario_log import Day, day

BTC, ETH = "BTC_USDC_PERP", "ETH_USDC_PERP"


def market(symbol: str, time: int = 1, **changes: Any) -> ConfigureMarket:
    known = ConfigureMarket(
        id=f"m-{symbol}-{time}",
        time=time,
        symbol=symbol,
        base=symbol.partition("_")[0],
        quantity_step=1_000,
        min_notional=5 * SCALE,
        max_leverage=100,
        maker_rate_bps=2,
        taker_rate_bps=5,
        maintenance_rate_bps=50,
        max_price_age_us=10 * DAY_US,
    )
    return msgspec.structs.replace(known, **changes)


def price(symbol: str, time: int, bid_usd: int) -> PriceUpdate:
    """The ask is a dollar above the bid."""
    bid = bid_usd * SCALE
    return PriceUpdate(f"p{time}", time, symbol, bid, SCALE, bid + SCALE, SCALE, time)


def small_day() -> Day:
    """Ada has an open BTC trade and a resting order. She closed two other trades, one of them in two parts.

    The id `twice` is used on two days with an original answer each, then repeated. Bob has an account.
    """
    usd = SCALE
    messages = [
        market(BTC),
        market(ETH),
        price(BTC, 2, 100),
        price(ETH, 2, 10),
        OpenAccount("open-ada", 3, "ada", 5_000 * usd),
        OpenAccount("open-bob", 3, "bob", 1_000 * usd),
        CreateTrade("eth", 4, "ada", ETH, "long", 50 * usd, 2),
        CloseTrade("eth-part", 5, "ada", "0:6:0", SCALE),
        CloseTrade("eth-rest", 6, "ada", "0:6:0"),
        CreateTrade("btc-1", 7, "ada", BTC, "short", 100 * usd, 10),
        CloseTrade("btc-1-end", 8, "ada", "0:9:0"),
        CreateTrade("btc-2", 9, "ada", BTC, "long", 100 * usd, 10, 95 * usd, 200 * usd),
        PlaceOrder("rests", 10, "ada", BTC, "buy", "limit", SCALE, 50 * usd),
        CreateTrade("too-much", 11, "ada", BTC, "long", 90_000 * usd, 10),
        Deposit("twice", 12, "ada", usd),
        Deposit("twice", 12 + 2 * DAY_US, "ada", 2 * usd),
        Deposit("twice", 13 + 2 * DAY_US, "ada", 3 * usd),
    ]
    return day(messages)


def answers_of(one: Day) -> list[AnsweredInstruction]:
    """Each answer with its instruction, in the order of the log."""
    return [
        AnsweredInstruction(effect.message, msgspec.convert(output_to_json(output), Answer))  # type: ignore[arg-type]
        for effect in one.effects
        for output in effect.outputs
        if isinstance(output, OrderResponse)
    ]


def closed_of(one: Day, account: str) -> list[ClosedOrderRow]:
    outputs = [output for effect in one.effects for output in effect.outputs if output.account == account]
    closed = [output_to_json(output) for output in outputs if isinstance(output, ClosedOrder)]
    return [msgspec.convert(output, ClosedOrderRow) for output in closed]


def balances_of(one: Day) -> dict[str, Balance]:
    """The last balance of each account."""
    found = {}
    for effect in one.effects:
        for output in effect.outputs:
            if isinstance(output, BalanceUpdate):
                found[output.account] = msgspec.convert(output_to_json(output), Balance)
    return found
