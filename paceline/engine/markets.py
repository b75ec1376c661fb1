"""Markets: configuration, halts, prices, and what a price triggers."""

from typing import Final

from msgspec.structs import replace

from paceline.engine.levels import LIQUIDATION, ORDER, STOP_LOSS, TAKE_PROFIT, TRAILING_STOP, LevelEntry
from paceline.engine.orders import fire_order
from paceline.engine.state import MarketState, State
from paceline.engine.trades import close_at_level
from paceline.engine.turn import Turn
from paceline.messages.inbound import (
    ConfigureMarket,
    HaltAccount,
    HaltMarket,
    PriceUpdate,
    ResumeAccount,
    ResumeMarket,
)
from paceline.messages.outbound import Outbound, Reason

_REASONS: Final[dict[int, Reason]] = {
    LIQUIDATION: "liquidation",
    STOP_LOSS: "stop_loss",
    TRAILING_STOP: "trailing_stop",
    TAKE_PROFIT: "take_profit",
}


def configure_market(state: State, message: ConfigureMarket) -> None:
    """Add or change a market. Price, halt, locks, levels and the base of a known market do not change."""
    market = state.markets.get(message.symbol)
    if market is None:
        state.markets[message.symbol] = MarketState(message, state.is_live)
    else:
        market.configure(replace(message, base=market.base))


def halt_market(state: State, message: HaltMarket | ResumeMarket) -> None:
    market = state.markets.get(message.symbol)
    if market is not None:
        market.halted = isinstance(message, HaltMarket)


def halt_account(state: State, message: HaltAccount | ResumeAccount) -> None:
    account = state.accounts.get(message.account)
    if account is not None:
        changed = account.copy()
        changed.halted = isinstance(message, HaltAccount)
        state.accounts.replace(account.name, changed)


def update_price(state: State, message: PriceUpdate) -> list[Outbound]:
    market = state.markets.get(message.symbol)
    if market is None:
        return _drop(state, "market_not_configured")
    bid, ask, update_id = message.bid, message.ask, message.update_id
    if not (update_id > market.update_id and 0 < bid < ask):
        return _drop(state, _drop_reason(market, message))
    market.update_id = update_id
    market.accepted_us = state.log_time
    market.bid = bid
    market.ask = ask
    books = market.books
    if (books.bid_low < bid < books.bid_high and books.ask_low < ask < books.ask_high) or market.halted:
        return []
    return _move_and_fire(state, market)


def _drop_reason(market: MarketState, message: PriceUpdate) -> str:
    if message.update_id <= market.update_id:
        return "update_id_not_above_last"
    return "price_zero" if not message.bid or not message.ask else "bid_not_below_ask"


def _drop(state: State, reason: str) -> list[Outbound]:
    state.dropped[reason] += 1
    return []


def _move_and_fire(state: State, market: MarketState) -> list[Outbound]:
    """Move all trailing levels, then fire on falling prices, highest first, then on rising, lowest first."""
    bid, ask, books = market.bid, market.ask, market.books
    assert 0 < bid < ask
    books.move_trailing(bid, ask)
    if books.bid_low < bid < books.bid_high and books.ask_low < ask < books.ask_high:
        return []
    turn = Turn(state)
    for entry in books.take_falling(bid, ask):
        _fire(turn, market, entry)
    for entry in books.take_rising(bid, ask):
        _fire(turn, market, entry)
    books.narrow()
    return turn.finish()


def _fire(turn: Turn, market: MarketState, entry: LevelEntry) -> None:
    """Fire a level, unless an earlier level of this update has closed, filled or cancelled its owner."""
    if entry.level_class == ORDER:
        if order := turn.state.orders.get(entry.id):
            fire_order(turn, market, order)
    elif trade := turn.state.trades.get(entry.id):
        close_at_level(turn, market, trade, _REASONS[entry.level_class])
