"""Responses about accounts."""

from typing import Any, Final

from msgspec import Struct

from paceline.ports.trading import Balance
from paceline.usecases.trading.accounts import PricedMarket


class UsdBalance(Struct, frozen=True):
    """USD of an account: `cash` is free, `margin` is in open trades, `locked` in resting buys."""

    account: str
    time: int
    cash: str
    margin: str
    locked: str


class Assets(Struct, frozen=True):
    assets: list[PricedMarket]


def usd_of(balance: Balance) -> UsdBalance:
    return UsdBalance(balance.account, balance.time, balance.cash, balance.margin, balance.locked)


USD_EXAMPLE: Final[dict[str, Any]] = {
    "account": "3f1c0a9be2d4477c8a10",
    "time": 1757143198737843,
    "cash": "4899.50021744",
    "margin": "100",
    "locked": "0",
}
BALANCE_EXAMPLE: Final = USD_EXAMPLE | {"balances": {"BTC": "0.001"}, "locked_balances": {}}
ASSETS_EXAMPLE: Final = {
    "assets": [
        {
            "symbol": "BTC_USDC_PERP",
            "base": "BTC",
            "quantity_step": "0.00001",
            "min_notional": "5",
            "max_leverage": 100,
            "maker_rate_bps": 2,
            "taker_rate_bps": 5,
            "maintenance_rate_bps": 50,
            "halted": False,
            "bid": "68983",
            "ask": "68983.1",
            "price_time": 1757143198737843,
        }
    ]
}
