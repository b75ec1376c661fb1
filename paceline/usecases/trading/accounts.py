"""Reading an account: balances, open trades at the last price, resting orders; and the markets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from paceline.core.errors import TransientError
from paceline.core.money import format_decimal, parse_decimal
from paceline.engine.numbers import profit_of
from paceline.ports.market import Market, Markets, Price, Prices
from paceline.ports.trading import AccountState, Balance, OpenTrade, RestingOrder
from paceline.usecases.trading.instructions import TradingGateway, open_account

T = TypeVar("T")


class PricedTrade(OpenTrade, frozen=True, kw_only=True):
    """An open trade with the price at which it would close now; `None` if the market has no price."""

    current_price: str | None = None
    unrealised_profit: str | None = None
    price_time: int | None = None


class PricedMarket(Market, frozen=True, kw_only=True):
    """A market with its last prices; `price_time` in µs. `None` if it has no price."""

    bid: str | None = None
    ask: str | None = None
    price_time: int | None = None


@dataclass(frozen=True)
class AccountReader:
    """The sources of account state: `hot` first, `stored` if `hot` does not have it."""

    hot: AccountState
    stored: AccountState
    prices: Prices
    markets: Markets


def balance(account_reader: AccountReader, gateway: TradingGateway, account: str) -> Balance:
    """The last balance. An account that the engine does not know is opened first."""
    found = _read(account_reader, lambda state: state.balance(account))
    if found is None:
        open_account(gateway, account)
        found = _read(account_reader, lambda state: state.balance(account))
    if found is None:
        raise TransientError("The account is being opened. Try again in a moment.", code="ACCOUNT_OPENING")
    return found


def is_open(account_reader: AccountReader, account: str) -> bool:
    return _read(account_reader, lambda state: state.balance(account)) is not None


def positions(account_reader: AccountReader, account: str) -> list[PricedTrade]:
    """Open trades, oldest first, with their unrealised profit before the fee."""
    trades = _read(account_reader, lambda state: state.open_trades(account)) or []
    prices = {symbol: _price(account_reader, symbol) for symbol in {trade.symbol for trade in trades}}
    return [_valued(trade, prices[trade.symbol]) for trade in sorted(trades, key=lambda t: t.opened)]


def orders(account_reader: AccountReader, account: str) -> list[RestingOrder]:
    """Resting orders, oldest first. Both orders of an OCO pair name the other in `oco_with`."""
    found = _read(account_reader, lambda state: state.resting_orders(account)) or []
    partners = {order.oco_with: order.order for order in found if order.oco_with is not None}
    return [
        replace(order, oco_with=order.oco_with or partners.get(order.order))
        for order in sorted(found, key=lambda order: order.opened)
    ]


def assets(account_reader: AccountReader) -> list[PricedMarket]:
    """The configured markets with their last prices."""
    return [
        _priced(market, _price(account_reader, market.symbol)) for market in account_reader.markets.markets()
    ]


def _read(account_reader: AccountReader, query: Callable[[AccountState], T | None]) -> T | None:
    try:
        found = query(account_reader.hot)
    except TransientError:
        found = None
    return query(account_reader.stored) if found is None else found


def _price(account_reader: AccountReader, symbol: str) -> Price | None:
    try:
        return account_reader.prices.last(symbol)
    except TransientError:
        return None


def _valued(trade: OpenTrade, price: Price | None) -> PricedTrade:
    fields = {name: getattr(trade, name) for name in OpenTrade.__struct_fields__}
    if price is None:
        return PricedTrade(**fields)
    long = trade.side == "long"
    exit_price = price.bid if long else price.ask
    profit = profit_of(long, parse_decimal(trade.entry), exit_price, parse_decimal(trade.quantity))
    return PricedTrade(
        **fields,
        current_price=format_decimal(exit_price),
        unrealised_profit=format_decimal(profit),
        price_time=price.time_us,
    )


def _priced(market: Market, price: Price | None) -> PricedMarket:
    fields = {name: getattr(market, name) for name in Market.__struct_fields__}
    if price is None:
        return PricedMarket(**fields)
    return PricedMarket(
        **fields, bid=format_decimal(price.bid), ask=format_decimal(price.ask), price_time=price.time_us
    )
