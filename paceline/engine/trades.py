"""Trades: leveraged, isolated margin. Open, amend, close."""

from paceline.engine.ledger import post_usd
from paceline.engine.numbers import (
    down_to_step,
    fee_on,
    liquidation_level,
    notional_down,
    notional_up,
    profit_of,
    quantity_of,
    share_of,
    slips,
)
from paceline.engine.records import UNSET, Account, Trade
from paceline.engine.refusals import Refusal
from paceline.engine.state import Market
from paceline.engine.turn import Turn
from paceline.messages.inbound import (
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    SETS_TRAILING_STOP,
    AmendTrade,
    CloseTrade,
    CreateTrade,
)
from paceline.messages.outbound import Reason

# What closing a part of a trade comes to: price, profit before the fee, fee, its share of the margin.
Settlement = tuple[int, int, int, int]


def create_trade(turn: Turn, message: CreateTrade, account: Account) -> Refusal | None:  # noqa: PLR0911  (one for each refusal)
    state = turn.state
    if account.halted:
        return "ACCOUNT_HALTED"
    market = state.markets.get(message.symbol)
    if market is None:
        return "MARKET_NOT_FOUND"
    if refusal := market.refusal(state.log_time):
        return refusal
    config, leverage, margin = market.config, message.leverage, message.margin
    if not 1 <= leverage <= config.max_leverage:
        return "LEVERAGE_OUT_OF_RANGE"
    long, entry = (True, market.ask) if message.side == "long" else (False, market.bid)
    if not _stops_fit(market, long, message):
        return "INVALID_STOP"
    if slips(long, entry, message.expected_price, message.max_slippage_bps):
        return "SLIPPAGE_EXCEEDED"
    quantity = quantity_of(margin, leverage, entry, config.quantity_step)
    if not quantity or notional_down(entry, quantity) < config.min_notional:
        return "BELOW_MINIMUM"
    notional = notional_up(entry, quantity)
    maintenance = share_of(notional, config.maintenance_rate_bps)
    level = liquidation_level(long, entry, quantity, margin, maintenance)
    if level is not None and (level >= market.bid if long else level <= market.ask):
        return "LIQUIDATES_AT_ONCE"
    fee = share_of(notional, config.taker_rate_bps)
    if margin + fee > account.cash:
        return "INSUFFICIENT_BALANCE"
    _open(turn, market, message, quantity=quantity, entry=entry, liquidation=level, fee=fee)
    return None


def _open(
    turn: Turn,
    market: Market,
    message: CreateTrade,
    *,
    quantity: int,
    entry: int,
    liquidation: int | None,
    fee: int,
) -> None:
    state, id_, account, margin = turn.state, turn.first_id, turn.account, message.margin
    position = state.position
    stop, target, distance = message.stop_loss, message.take_profit, message.trailing_stop
    trade = Trade(
        id_,
        account,
        market.config.symbol,
        message.side,
        quantity,
        entry,
        margin,
        message.leverage,
        turn.time,
        position,
        liquidation,
        stop,
        UNSET if stop is None else position,
        target,
        UNSET if target is None else position,
        distance,
        UNSET if distance is None else position,
    )
    state.trades.add(id_, trade)
    market.books.add_fixed(trade)
    if distance is not None:
        market.books.add_trailing(trade, _watched(market, trade.side == "long"))
    post_usd(turn, account, cash=-margin - fee, margin=margin, fees=fee)
    turn.accept(trade=id_, price=entry, quantity=quantity, fee=fee, liquidation=liquidation)


def _watched(market: Market, long: bool) -> int:
    """A long leaves at the bid and so watches it; a short the ask."""
    return market.bid if long else market.ask


def _stops_fit(market: Market, long: bool, message: CreateTrade) -> bool:
    stop, target, distance = message.stop_loss, message.take_profit, message.trailing_stop
    if long:
        fit = (stop is None or stop < market.bid) and (target is None or target > market.ask)
    else:
        fit = (stop is None or stop > market.ask) and (target is None or target < market.bid)
    return fit and (distance is None or _distance_fits(market, long, distance))


def _distance_fits(market: Market, long: bool, distance: int) -> bool:
    return distance > 0 and not (long and distance >= market.bid)


def amend_trade(turn: Turn, message: AmendTrade, account: Account) -> Refusal | None:
    state = turn.state
    trade = state.trade_of(account.name, message.trade)
    if trade is None:
        return "TRADE_NOT_FOUND"
    market = state.markets[trade.symbol]
    if refusal := market.refusal(state.log_time):
        return refusal
    if not _amendment_fits(market, trade.side == "long", message):
        return "INVALID_STOP"
    amended = _amended(trade, message, state.position)
    state.trades.replace(trade.id, amended)
    market.books.replace_trade(trade, amended, _watched(market, trade.side == "long"))
    turn.accept(trade=trade.id)
    return None


def _amendment_fits(market: Market, long: bool, message: AmendTrade) -> bool:
    watched = _watched(market, long)
    stop = message.stop_loss if message.sets & SETS_STOP_LOSS else None
    target = message.take_profit if message.sets & SETS_TAKE_PROFIT else None
    distance = message.trailing_stop if message.sets & SETS_TRAILING_STOP else None
    if long:
        fit = (stop is None or stop < watched) and (target is None or target > watched)
    else:
        fit = (stop is None or stop > watched) and (target is None or target < watched)
    return fit and (distance is None or _distance_fits(market, long, distance))


def _amended(trade: Trade, message: AmendTrade, position: int) -> Trade:
    """The trade with the levels that the message names set anew, even to the same value, or removed."""
    amended = trade.copy()
    if message.sets & SETS_STOP_LOSS:
        amended.stop_loss = message.stop_loss
        amended.stop_loss_set = UNSET if message.stop_loss is None else position
    if message.sets & SETS_TAKE_PROFIT:
        amended.take_profit = message.take_profit
        amended.take_profit_set = UNSET if message.take_profit is None else position
    if message.sets & SETS_TRAILING_STOP:
        amended.trailing_stop = message.trailing_stop
        amended.trailing_stop_set = UNSET if message.trailing_stop is None else position
    return amended


def close_trade(turn: Turn, message: CloseTrade, account: Account) -> Refusal | None:
    state = turn.state
    trade = state.trade_of(account.name, message.trade)
    if trade is None:
        return "TRADE_NOT_FOUND"
    market = state.markets[trade.symbol]
    if refusal := market.refusal(state.log_time):
        return refusal
    part = trade.quantity
    if message.quantity is not None and message.quantity < trade.quantity:
        part = down_to_step(message.quantity, market.config.quantity_step)
        if not part:
            return "BELOW_MINIMUM"
    terms = _settlement(market, trade, part)
    price, _, fee, _ = terms
    turn.accept(trade=trade.id, price=price, quantity=part, fee=fee)
    _settle(turn, trade, part, terms, "user")
    return None


def close_at_level(turn: Turn, market: Market, trade: Trade, reason: Reason) -> None:
    """A level of the trade was reached: close all of it at the present price."""
    part = trade.quantity
    _settle(turn, trade, part, _settlement(market, trade, part), reason)


def _settle(turn: Turn, trade: Trade, part: int, terms: Settlement, reason: Reason) -> None:
    state = turn.state
    price, profit, fee, share = terms
    left = share + profit
    if part == trade.quantity:
        state.trades.remove(trade.id)
        state.markets[trade.symbol].books.forget_trade(trade)
    else:
        rest = trade.copy()
        rest.quantity -= part
        rest.margin -= share
        state.trades.replace(trade.id, rest)
    # What the margin cannot bear of a loss, the insurance pays: nobody owes more than the margin.
    post_usd(
        turn,
        trade.account,
        margin=-share,
        cash=(left if left > 0 else 0) - fee,
        fees=fee,
        insurance=left if left < 0 else 0,
        house=-profit,
    )
    turn.trade_closed(trade, reason, part=part, exit_price=price, profit=profit, fee=fee, margin=share)


def _settlement(market: Market, trade: Trade, part: int) -> Settlement:
    long = trade.side == "long"
    price = _watched(market, long)
    share = trade.margin * part // trade.quantity
    profit = profit_of(long, trade.entry, price, part)
    fee = fee_on(price, part, market.config.taker_rate_bps)
    return price, profit, min(fee, max(0, share + profit)), share
