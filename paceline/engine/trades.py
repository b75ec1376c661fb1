"""Leveraged trades with isolated margin: open, amend, close."""

from paceline.engine.ledger import post_usd
from paceline.engine.numbers import (
    down_to_step,
    exceeds_slippage,
    fee_on,
    liquidation_level,
    margin_of_part,
    notional_down,
    notional_up,
    profit_of,
    quantity_of,
    share_of,
)
from paceline.engine.records import UNSET, Account, Trade
from paceline.engine.refusals import Refusal
from paceline.engine.state import MarketState
from paceline.engine.turn import Turn
from paceline.messages.inbound import (
    SETS_STOP_LOSS,
    SETS_TAKE_PROFIT,
    SETS_TRAILING_STOP,
    AmendTrade,
    CloseTrade,
    CreateTrade,
    TradeSide,
)
from paceline.messages.outbound import Reason

# The result of closing a part of a trade: price, profit before the fee, fee, the part's share of the margin.
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
    trade = _new_trade(turn, market, message)
    long, entry, margin = trade.side == "long", trade.entry, trade.margin
    if not 1 <= trade.leverage <= market.max_leverage:
        return "LEVERAGE_OUT_OF_RANGE"
    stop, target, distance = trade.stop_loss, trade.take_profit, trade.trailing_stop
    if not _levels_fit(market, long, entry, stop=stop, target=target, distance=distance):
        return "INVALID_STOP"
    if exceeds_slippage(long, entry, message.expected_price, message.max_slippage_bps):
        return "SLIPPAGE_EXCEEDED"
    quantity = quantity_of(margin, trade.leverage, entry, market.quantity_step)
    if not quantity or notional_down(entry, quantity) < market.min_notional:
        return "BELOW_MINIMUM"
    notional = notional_up(entry, quantity)
    maintenance = share_of(notional, market.maintenance_rate_bps)
    level = liquidation_level(long, entry, quantity, margin, maintenance)
    if level is not None and (level >= market.bid if long else level <= market.ask):
        return "LIQUIDATES_AT_ONCE"
    fee = share_of(notional, market.taker_rate_bps)
    if margin + fee > account.cash:
        return "INSUFFICIENT_BALANCE"
    trade.quantity, trade.liquidation = quantity, level
    _open(turn, market, trade, fee)
    return None


def _new_trade(turn: Turn, market: MarketState, message: CreateTrade) -> Trade:
    """The requested trade. The caller sets its quantity and liquidation level."""
    position = turn.state.position
    side: TradeSide = message.side
    stop: int | None = message.stop_loss
    target: int | None = message.take_profit
    distance: int | None = message.trailing_stop
    return Trade(
        turn.first_id,
        turn.account,
        market.symbol,
        side,
        0,  # quantity
        market.ask if side == "long" else market.bid,
        message.margin,
        message.leverage,
        turn.time,
        position,
        None,  # liquidation
        stop,
        UNSET if stop is None else position,
        target,
        UNSET if target is None else position,
        distance,
        UNSET if distance is None else position,
    )


def _open(turn: Turn, market: MarketState, trade: Trade, fee: int) -> None:
    long, level = trade.side == "long", trade.liquidation
    assert trade.quantity > 0
    assert trade.margin > 0
    assert fee >= 0
    assert level is None or (level < market.bid if long else level > market.ask)
    turn.state.trades.add(trade.id, trade)
    market.books.add_fixed(trade)
    market.books.add_trailing(trade, _watched(market, long))
    post_usd(turn, trade.account, cash=-trade.margin - fee, margin=trade.margin, fees=fee)
    turn.accept(
        trade=trade.id, price=trade.entry, quantity=trade.quantity, fee=fee, liquidation=trade.liquidation
    )


def _watched(market: MarketState, long: bool) -> int:
    """The price that a trade watches and is closed at: the bid for a long, the ask for a short."""
    return market.bid if long else market.ask


def _levels_fit(
    market: MarketState, long: bool, start: int, *, stop: int | None, target: int | None, distance: int | None
) -> bool:
    """Whether no level is reached already. The take profit must be beyond `start`."""
    if long:
        fit = (stop is None or stop < market.bid) and (target is None or target > start)
    else:
        fit = (stop is None or stop > market.ask) and (target is None or target < start)
    return fit and (distance is None or (distance > 0 and not (long and distance >= market.bid)))


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


def _amendment_fits(market: MarketState, long: bool, message: AmendTrade) -> bool:
    """Whether the levels that the message names are valid; the others are not checked."""
    stop = message.stop_loss if message.sets & SETS_STOP_LOSS else None
    target = message.take_profit if message.sets & SETS_TAKE_PROFIT else None
    distance = message.trailing_stop if message.sets & SETS_TRAILING_STOP else None
    watched = _watched(market, long)
    return _levels_fit(market, long, watched, stop=stop, target=target, distance=distance)


def _amended(trade: Trade, message: AmendTrade, position: int) -> Trade:
    """The trade with the levels that the message names set or removed. An equal value counts as set again."""
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
        part = down_to_step(message.quantity, market.quantity_step)
        if not part:
            return "BELOW_MINIMUM"
    terms = _settlement(market, trade, part)
    price, _, fee, _ = terms
    turn.accept(trade=trade.id, price=price, quantity=part, fee=fee)
    _settle(turn, trade, part, terms, "user")
    return None


def close_at_level(turn: Turn, market: MarketState, trade: Trade, reason: Reason) -> None:
    """Close the whole trade at the current price, because one of its levels was reached."""
    part = trade.quantity
    _settle(turn, trade, part, _settlement(market, trade, part), reason)


def _settle(turn: Turn, trade: Trade, part: int, terms: Settlement, reason: Reason) -> None:
    state = turn.state
    price, profit, fee, share = terms
    left = share + profit
    assert 0 < part <= trade.quantity
    assert 0 <= share <= trade.margin
    assert 0 <= fee <= (left if left > 0 else 0)  # so the cash of the account cannot fall
    if part == trade.quantity:
        state.trades.remove(trade.id)
        state.markets[trade.symbol].books.forget_trade(trade)
    else:
        rest = trade.copy()
        rest.quantity -= part
        rest.margin -= share
        state.trades.replace(trade.id, rest)
    # The insurance pays what a loss exceeds the margin by: an account never owes more than its margin.
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


def _settlement(market: MarketState, trade: Trade, part: int) -> Settlement:
    long = trade.side == "long"
    price = _watched(market, long)
    share = margin_of_part(trade.margin, part, trade.quantity)
    profit = profit_of(long, trade.entry, price, part)
    fee = fee_on(price, part, market.taker_rate_bps)
    return price, profit, min(fee, max(0, share + profit)), share
