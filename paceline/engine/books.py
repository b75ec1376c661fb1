"""All waiting levels of one market, and the quiet band: the prices between which no level moves or fires."""

from typing import Final

from paceline.engine.levels import (
    FALLING,
    LIQUIDATION,
    ORDER,
    RISING,
    STOP_LOSS,
    TAKE_PROFIT,
    TRAILING_STOP,
    IsLive,
    LevelEntry,
    LevelHeap,
)
from paceline.engine.records import Order, Trade
from paceline.engine.trailing import BestPrices, TrailingBook

_BETTER_ORDERS: Final = frozenset(("limit", "take_profit"))


class SideLevels:
    """The levels that watch one of the two prices: longs and sells watch the bid, shorts and buys the ask.

    `worse` holds levels that wait for a worse price (stop loss, stop orders), `better` those that wait for a
    better price (take profit, limit orders). Liquidation levels wait for a worse price too, but are far away:
    a separate heap keeps the `worse` heap small.
    """

    __slots__ = ("better", "liquidations", "trailing", "worse")

    def __init__(self, worse: int, is_live: IsLive) -> None:
        """`worse`: the direction in which the watched price gets worse."""
        self.worse = LevelHeap(worse, is_live)
        self.liquidations = LevelHeap(worse, is_live)
        self.better = LevelHeap(-worse, is_live)
        self.trailing = TrailingBook(worse, is_live)

    def first_keys(self) -> tuple[int, int]:
        """The nearest keys at which a level fires or moves: `(price gets worse, price gets better)`."""
        trailing = self.trailing
        worse = min(self.liquidations.first, self.worse.first, trailing.first)
        return worse, min(self.better.first, 1 - trailing.mark)

    def take_worse(self, price: int) -> list[LevelEntry]:
        """Remove and return the entries that fire because the price is this bad or worse."""
        return self.liquidations.take(price) + self.worse.take(price) + self.trailing.take(price)

    def watch_liquidation(self, trade: Trade) -> bool:
        """Add the liquidation level, unless it is in the heap already or a stop loss always fires before it.

        True if it is now the first to fire.
        """
        level, stop = trade.liquidation, trade.stop_loss
        if level is None or trade.watches_liquidation:
            return False
        if stop is not None and (stop > level if trade.side == "long" else stop < level):
            return False
        trade.watches_liquidation = True
        return self.liquidations.add(level, LIQUIDATION, trade.position, trade.id)

    def heap_of(self, order: Order) -> LevelHeap:
        return self.better if order.order_type in _BETTER_ORDERS else self.worse


class Books:
    __slots__ = ("_ask", "_bid", "ask_high", "ask_low", "bid_high", "bid_low")

    def __init__(self, is_live: IsLive) -> None:
        self._bid = SideLevels(FALLING, is_live)
        self._ask = SideLevels(RISING, is_live)
        self.narrow()

    def side_of(self, holder: Trade | Order) -> SideLevels:
        side = holder.side
        return self._bid if side == "long" or side == "sell" else self._ask  # noqa: PLR1714  (twice as fast)

    def narrow(self) -> None:
        """Recompute the quiet band: no level moves or fires while bid and ask stay strictly inside it."""
        worse, better = self._bid.first_keys()
        self.bid_low, self.bid_high = -worse, better
        worse, better = self._ask.first_keys()
        self.ask_low, self.ask_high = -better, worse

    def move_trailing(self, bid: int, ask: int) -> None:
        self._bid.trailing.move(bid)
        self._ask.trailing.move(ask)
        self.narrow()

    def take_falling(self, bid: int, ask: int) -> list[LevelEntry]:
        """Remove and return what fires on falling prices, highest level first."""
        taken = self._bid.take_worse(bid) + self._ask.better.take(ask)
        taken.sort()
        return taken

    def take_rising(self, bid: int, ask: int) -> list[LevelEntry]:
        """Remove and return what fires on rising prices, lowest level first."""
        taken = self._bid.better.take(bid) + self._ask.take_worse(ask)
        taken.sort()
        return taken

    def add_fixed(self, trade: Trade) -> None:
        """Add a trade's levels, except its trailing stop."""
        side, id_ = self._bid if trade.side == "long" else self._ask, trade.id
        first = side.watch_liquidation(trade)
        level = trade.stop_loss
        if level is not None and side.worse.add(level, STOP_LOSS, trade.stop_loss_set, id_):
            first = True
        level = trade.take_profit
        if level is not None and side.better.add(level, TAKE_PROFIT, trade.take_profit_set, id_):
            first = True
        if first:
            self.narrow()

    def add_trailing(self, trade: Trade, best_price: int) -> None:
        """Add the trade's trailing stop, if it has one.

        `best_price`: the best watched price since the stop was set; for a new stop the current price.
        """
        if trade.trailing_stop is not None:
            entry = LevelEntry(trade.trailing_stop, TRAILING_STOP, trade.trailing_stop_set, trade.id)
            self.side_of(trade).trailing.add(entry, best_price)
            self.narrow()

    def forget_trade(self, trade: Trade) -> None:
        """Count the levels of a removed trade as dead."""
        side = self.side_of(trade)
        if trade.watches_liquidation:
            side.liquidations.forget()
        if trade.stop_loss is not None:
            side.worse.forget()
        if trade.take_profit is not None:
            side.better.forget()
        if trade.trailing_stop is not None:
            side.trailing.forget()

    def replace_trade(self, old: Trade, new: Trade, watched: int) -> None:
        """Replace the levels that were set again or removed. The liquidation level never changes."""
        side, id_ = self.side_of(old), new.id
        side.watch_liquidation(new)
        if new.stop_loss_set != old.stop_loss_set:
            if old.stop_loss is not None:
                side.worse.forget()
            if new.stop_loss is not None:
                side.worse.add(new.stop_loss, STOP_LOSS, new.stop_loss_set, id_)
        if new.take_profit_set != old.take_profit_set:
            if old.take_profit is not None:
                side.better.forget()
            if new.take_profit is not None:
                side.better.add(new.take_profit, TAKE_PROFIT, new.take_profit_set, id_)
        if new.trailing_stop_set != old.trailing_stop_set:
            if old.trailing_stop is not None:
                side.trailing.forget()
            self.add_trailing(new, watched)
        self.narrow()

    def add_order(self, order: Order, best_price: int) -> None:
        """Add an order's level. `best_price` as in `add_trailing`; only trailing orders use it."""
        side = self.side_of(order)
        if order.distance is not None:
            side.trailing.add(LevelEntry(order.distance, ORDER, order.position, order.id), best_price)
        elif order.price is not None:
            side.heap_of(order).add(order.price, ORDER, order.position, order.id)
        self.narrow()

    def forget_order(self, order: Order) -> None:
        side = self.side_of(order)
        if order.distance is not None:
            side.trailing.forget()
        else:
            side.heap_of(order).forget()

    def best_prices(self) -> "BestOfMarket":
        """A copy of the best prices that the trailing stops have seen, for a snapshot."""
        return BestOfMarket(self._bid.trailing.best_prices(), self._ask.trailing.best_prices())


class BestOfMarket:
    """The best prices that the trailing stops of a market have seen."""

    __slots__ = ("_ask", "_bid")

    def __init__(self, bid: BestPrices, ask: BestPrices) -> None:
        self._bid = bid
        self._ask = ask

    def of_trade(self, trade: Trade) -> int | None:
        if trade.trailing_stop is None:
            return None
        return (self._bid if trade.side == "long" else self._ask).at(trade.trailing_stop_set)

    def of_order(self, order: Order) -> int | None:
        if order.distance is None:
            return None
        return (self._bid if order.side == "sell" else self._ask).at(order.position)
