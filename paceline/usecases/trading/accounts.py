"""What an account has: balances, open trades at the last price, resting orders, what can be traded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from paceline.core.errors import TransientError
from paceline.core.money import format_decimal, parse_decimal
from paceline.engine.numbers import profit_of
from paceline.ports.market import Market, Markets, Price, Prices
from paceline.ports.trading import AccountState, Balance, OpenTrade, RestingOrder
from paceline.usecases.trading.instructions import Desk, open_account

T = TypeVar("T")


class Position(OpenTrade, frozen=True, kw_only=True):
    """An open trade at the price it would be closed at now; `None` where no price is known."""

    current_price: str | None = None
    unrealised_profit: str | None = None
    price_time: int | None = None


class Asset(Market, frozen=True, kw_only=True):
    """A market with its last prices; `price_time` in µs. `None` where no price is known."""

    bid: str | None = None
    ask: str | None = None
    price_time: int | None = None


@dataclass(frozen=True)
class Sight:
    """Where accounts are read: `hot` first, `stored` where that is lost."""

    hot: AccountState
    stored: AccountState
    prices: Prices
    markets: Markets


def balance(sight: Sight, desk: Desk, account: str) -> Balance:
    """The newest balance. An account that the engine does not know yet is opened first."""
    found = _read(sight, lambda state: state.balance(account))
    if found is None:
        open_account(desk, account)
        found = _read(sight, lambda state: state.balance(account))
    if found is None:
        raise TransientError("Your account is being opened. Try again in a moment.", code="ACCOUNT_OPENING")
    return found


def is_open(sight: Sight, account: str) -> bool:
    return _read(sight, lambda state: state.balance(account)) is not None


def positions(sight: Sight, account: str) -> list[Position]:
    """Open trades, oldest first, with what they would bring before the fee."""
    trades = _read(sight, lambda state: state.open_trades(account)) or []
    prices = {symbol: _price(sight, symbol) for symbol in {trade.symbol for trade in trades}}
    return [_valued(trade, prices[trade.symbol]) for trade in sorted(trades, key=lambda t: t.opened)]


def orders(sight: Sight, account: str) -> list[RestingOrder]:
    """Resting orders, oldest first. Of a pair each names the other, also the one that was there before."""
    found = _read(sight, lambda state: state.resting_orders(account)) or []
    partners = {order.oco_with: order.order for order in found if order.oco_with is not None}
    return [
        replace(order, oco_with=order.oco_with or partners.get(order.order))
        for order in sorted(found, key=lambda order: order.opened)
    ]


def assets(sight: Sight) -> list[Asset]:
    """The configured markets with their last prices."""
    return [_priced(market, _price(sight, market.symbol)) for market in sight.markets.markets()]


def _read(sight: Sight, ask: Callable[[AccountState], T | None]) -> T | None:
    try:
        found = ask(sight.hot)
    except TransientError:
        found = None
    return ask(sight.stored) if found is None else found


def _price(sight: Sight, symbol: str) -> Price | None:
    try:
        return sight.prices.last(symbol)
    except TransientError:
        return None


def _valued(trade: OpenTrade, price: Price | None) -> Position:
    known = {name: getattr(trade, name) for name in OpenTrade.__struct_fields__}
    if price is None:
        return Position(**known)
    long = trade.side == "long"
    leaves_at = price.bid if long else price.ask
    profit = profit_of(long, parse_decimal(trade.entry), leaves_at, parse_decimal(trade.quantity))
    return Position(
        **known,
        current_price=format_decimal(leaves_at),
        unrealised_profit=format_decimal(profit),
        price_time=price.time_us,
    )


def _priced(market: Market, price: Price | None) -> Asset:
    known = {name: getattr(market, name) for name in Market.__struct_fields__}
    if price is None:
        return Asset(**known)
    return Asset(
        **known, bid=format_decimal(price.bid), ask=format_decimal(price.ask), price_time=price.time_us
    )
