"""Spot orders, against balances: place, fill, cancel, and pairs where one cancels the other (OCO)."""

from paceline.engine.ledger import post_asset, post_usd
from paceline.engine.numbers import exceeds_slippage, fee_on, notional_down, notional_up
from paceline.engine.records import Account, Order
from paceline.engine.refusals import Refusal
from paceline.engine.state import MarketState, State
from paceline.engine.turn import Turn
from paceline.messages.inbound import CancelOrder, PlaceOrder


def place_order(turn: Turn, message: PlaceOrder, account: Account) -> Refusal | None:  # noqa: PLR0911  (one for each refusal)
    state = turn.state
    if account.halted:
        return "ACCOUNT_HALTED"
    market = state.markets.get(message.symbol)
    if market is None:
        return "MARKET_NOT_FOUND"
    if refusal := market.refusal(state.log_time):
        return refusal
    if not message.quantity or message.quantity % market.quantity_step:
        return "INVALID_QUANTITY"
    if not _level_fits(market, message):
        return "INVALID_STOP"
    at_once = _executes_at_once(market, message)
    buying, execution = message.side == "buy", _execution_price(market, message.side)
    if at_once and exceeds_slippage(buying, execution, message.expected_price, message.max_slippage_bps):
        return "SLIPPAGE_EXCEEDED"
    order = _new_order(turn, market, message)
    price_for_minimum = execution if message.order_type == "market" else _first_level(market, order)
    if notional_down(price_for_minimum, order.quantity) < market.min_notional:
        return "BELOW_MINIMUM"
    if message.oco_with is not None and _free_partner(state, message) is None:
        return "ORDER_NOT_FOUND"
    if not _has_funds(market, account, order, at_once):
        return "INSUFFICIENT_BALANCE"
    if at_once:
        _execute_at_once(turn, market, message, order)
    else:
        _place_resting(turn, market, message, order)
    return None


def _watched(market: MarketState, side: str) -> int:
    """The price that an order watches and is filled at: the ask for a buy, the bid for a sell."""
    return market.ask if side == "buy" else market.bid


_execution_price = _watched


def _executes_at_once(market: MarketState, message: PlaceOrder) -> bool:
    if message.order_type == "market":
        return True
    if message.order_type != "limit" or message.price is None:
        return False
    return market.ask <= message.price if message.side == "buy" else market.bid >= message.price


def _level_fits(market: MarketState, message: PlaceOrder) -> bool:
    """Whether the level is not reached yet. A trailing distance must be > 0, and below the bid for a sell."""
    if message.order_type == "trailing_stop":
        distance = message.distance or 0
        return distance > 0 and (message.side == "buy" or distance < market.bid)
    if message.order_type not in ("stop", "take_profit") or message.price is None:
        return True
    fires_rising = (message.side == "buy") == (message.order_type == "stop")
    watched = _watched(market, message.side)
    return message.price > watched if fires_rising else message.price < watched


def _new_order(turn: Turn, market: MarketState, message: PlaceOrder) -> Order:
    trailing = message.order_type == "trailing_stop"
    priced = message.order_type not in ("market", "trailing_stop")
    order = Order(
        id=turn.first_id,
        account=turn.account,
        symbol=message.symbol,
        side=message.side,
        order_type=message.order_type,
        quantity=message.quantity,
        price=message.price if priced else None,
        distance=message.distance if trailing else None,
        lock=0,
        partner=message.oco_with,
        opened=turn.time,
        position=turn.state.position,
    )
    order.lock = _amount_to_lock(market, order)
    return order


def _first_level(market: MarketState, order: Order) -> int:
    """The order's price; for a trailing order, its level at the current price."""
    if order.distance is None:
        return order.price or 0
    return market.ask + order.distance if order.side == "buy" else market.bid - order.distance


def _amount_to_lock(market: MarketState, order: Order) -> int:
    """The amount that a resting order locks: USD with the taker fee for a buy, the quantity for a sell."""
    if order.side == "sell":
        return order.quantity
    return _cost(_first_level(market, order), order.quantity, market.taker_rate_bps)


def _cost(price: int, quantity: int, rate_bps: int) -> int:
    return notional_up(price, quantity) + fee_on(price, quantity, rate_bps)


def _has_funds(market: MarketState, account: Account, order: Order, at_once: bool) -> bool:
    if order.side == "sell":
        return account.free.get(market.base, 0) >= order.quantity
    if at_once:
        return account.cash >= _cost(market.ask, order.quantity, market.taker_rate_bps)
    return account.cash >= order.lock


def _free_partner(state: State, message: PlaceOrder) -> Order | None:
    """The order named by `oco_with`, if it exists and has no partner yet."""
    partner = state.order_of(message.account, message.oco_with or "")
    return partner if partner is not None and partner.partner is None else None


def _execute_at_once(turn: Turn, market: MarketState, message: PlaceOrder, order: Order) -> None:
    price = _execution_price(market, order.side)
    fee = _fill_fee(market, order, price, market.taker_rate_bps)
    turn.accept(order=order.id, price=price, quantity=order.quantity, fee=fee)
    order.lock = 0
    _fill(turn, market, order, price, fee)
    _cancel_partner(turn, order)


def _place_resting(turn: Turn, market: MarketState, message: PlaceOrder, order: Order) -> None:
    state = turn.state
    assert order.quantity > 0
    assert order.lock >= 0
    assert (order.price is None) != (order.distance is None)
    turn.accept(order=order.id)
    state.orders.add(order.id, order)
    if order.side == "buy":
        post_usd(turn, order.account, cash=-order.lock, locked=order.lock)
    else:
        post_asset(turn, order.account, market.base, free=-order.lock, held=order.lock)
    market.books.add_order(order, _watched(market, order.side))
    if partner := _free_partner(state, message):
        paired = partner.copy()
        paired.partner = order.id
        state.orders.replace(partner.id, paired)


def fire_order(turn: Turn, market: MarketState, order: Order) -> None:
    """Fill a resting order at the current price: its level was reached. Reject it if the cash is too low."""
    _leave_book(turn.state, order)
    price = _execution_price(market, order.side)
    rate = market.maker_rate_bps if order.order_type == "limit" else market.taker_rate_bps
    fee = _fill_fee(market, order, price, rate)
    account = turn.state.accounts.get(order.account)
    cash = account.cash if account is not None else 0
    if order.side == "buy" and notional_up(price, order.quantity) + fee > order.lock + cash:
        _unlock(turn, market, order)
        turn.order_closed(order, "rejected", code="INSUFFICIENT_BALANCE")
    else:
        _fill(turn, market, order, price, fee)
    _cancel_partner(turn, order)


def _fill_fee(market: MarketState, order: Order, price: int, rate_bps: int) -> int:
    fee = fee_on(price, order.quantity, rate_bps)
    return fee if order.side == "buy" else min(fee, notional_down(price, order.quantity))


def _fill(turn: Turn, market: MarketState, order: Order, price: int, fee: int) -> None:
    """Exchange money and asset. The locked amount is used first; a `lock` of 0 means that there is none."""
    name, base, quantity = order.account, market.base, order.quantity
    assert quantity > 0
    assert price > 0
    assert order.lock >= 0
    assert fee >= 0
    if order.side == "buy":
        paid = notional_up(price, quantity)
        post_usd(turn, name, locked=-order.lock, cash=order.lock - paid - fee, fees=fee, house=paid)
        post_asset(turn, name, base, free=quantity, house=-quantity)
    else:
        proceeds = notional_down(price, quantity)
        from_free = quantity - order.lock
        assert from_free >= 0
        assert fee <= proceeds
        post_asset(turn, name, base, free=-from_free, held=-order.lock, house=quantity)
        post_usd(turn, name, cash=proceeds - fee, fees=fee, house=-proceeds)
    turn.order_closed(order, "filled", exit_price=price, fee=fee)


def cancel_order(turn: Turn, message: CancelOrder, account: Account) -> Refusal | None:
    order = turn.state.order_of(account.name, message.order)
    if order is None:
        return "ORDER_NOT_FOUND"
    turn.accept(order=order.id)
    _cancel(turn, order)
    _cancel_partner(turn, order)
    return None


def _cancel_partner(turn: Turn, order: Order) -> None:
    if order.partner is not None and (partner := turn.state.orders.get(order.partner)):
        _cancel(turn, partner)


def _cancel(turn: Turn, order: Order) -> None:
    _leave_book(turn.state, order)
    _unlock(turn, turn.state.markets[order.symbol], order)
    turn.order_closed(order, "cancelled")


def _leave_book(state: State, order: Order) -> None:
    state.orders.remove(order.id)
    state.markets[order.symbol].books.forget_order(order)


def _unlock(turn: Turn, market: MarketState, order: Order) -> None:
    if order.side == "buy":
        post_usd(turn, order.account, locked=-order.lock, cash=order.lock)
    else:
        post_asset(turn, order.account, market.base, held=-order.lock, free=order.lock)
