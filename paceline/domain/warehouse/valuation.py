"""What an account is worth at the end of a day. All amounts are scaled integers.

* Longs and assets are marked at the bid, shorts at the ask.
* Each product of price and quantity is rounded down, a loss therefore away from zero.
* A trade loses at most its isolated margin, so its value is never below zero.
* Equity is cash, margin and locked cash, plus the assets' value and the trades' unrealised profit.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from paceline.core.money import SCALE


class Mark(Struct, frozen=True):
    """The last prices of a symbol before the end of the day."""

    bid: int
    ask: int


class Holding(Struct, frozen=True):
    """A free or a locked quantity of an asset."""

    asset: str
    quantity: int


class TradeAtEnd(Struct, frozen=True):
    """What is open of a trade at the end of the day."""

    symbol: str
    side: Literal["long", "short"]
    quantity: int
    margin: int
    entry: int


class AccountAtEnd(Struct):
    """Balances in USD, assets and open trades at the end of the day."""

    account: str
    cash: int
    margin: int
    locked: int
    holdings: list[Holding]
    trades: list[TradeAtEnd]


class Valuation(Struct, frozen=True):
    """`exposure` is the marked value of all open trades, without regard to their sides."""

    equity: int
    asset_value: int
    unrealised_profit: int
    exposure: int


class Marks(Struct, frozen=True):
    """Marks of symbols, and of assets: an asset has the bid of a market of it."""

    symbols: Mapping[str, Mark]
    assets: Mapping[str, int]


def unmarked(accounts: Iterable[AccountAtEnd], marks: Marks) -> list[str]:
    """The symbols and assets that are held but have no mark, sorted."""
    missing: set[str] = set()
    for account in accounts:
        missing.update(one.symbol for one in account.trades if one.symbol not in marks.symbols)
        missing.update(one.asset for one in account.holdings if one.asset not in marks.assets)
    return sorted(missing)


def value(account: AccountAtEnd, marks: Marks) -> Valuation:
    """The account's valuation. All that it holds must have marks: `unmarked` is empty."""
    assets = sum(one.quantity * marks.assets[one.asset] // SCALE for one in account.holdings)
    unrealised = exposure = 0
    for trade in account.trades:
        price = _price_of(trade, marks.symbols[trade.symbol])
        exposure += trade.quantity * price // SCALE
        move = price - trade.entry if trade.side == "long" else trade.entry - price
        unrealised += max(-trade.margin, move * trade.quantity // SCALE)
    balances = account.cash + account.margin + account.locked
    return Valuation(balances + assets + unrealised, assets, unrealised, exposure)


def _price_of(trade: TradeAtEnd, mark: Mark) -> int:
    """The price at which the trade would be closed."""
    return mark.bid if trade.side == "long" else mark.ask
