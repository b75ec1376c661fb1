"""All levels that wait on one market, and the quiet band of prices inside which none moves or fires.

Longs and sells watch the bid, shorts and buys the ask. A level waits either for a *worse* price (stop
loss, liquidation, stop orders) or for a *better* one (take profit, limit orders).
"""

from typing import Final

from paceline.engine.levels import ORDER, TAKE_PROFIT, TRAILING_STOP, Entry, IsLive, LevelHeap
from paceline.engine.records import TRADE_LEVELS, Order, Trade
from paceline.engine.trailing import TrailingBook

_BETTER_ORDERS: Final = frozenset(("limit", "take_profit"))


class Books:
    __slots__ = (
        "ask_high",
        "ask_low",
        "bid_high",
        "bid_low",
        "falling_ask",
        "falling_bid",
        "rising_ask",
        "rising_bid",
        "trailing_ask",
        "trailing_bid",
    )

    def __init__(self, is_live: IsLive) -> None:
        self.falling_bid = LevelHeap(is_live)
        self.rising_bid = LevelHeap(is_live)
        self.falling_ask = LevelHeap(is_live)
        self.rising_ask = LevelHeap(is_live)
        self.trailing_bid = TrailingBook(is_live)
        self.trailing_ask = TrailingBook(is_live)
        self.narrow()

    def narrow(self) -> None:
        """Find the quiet band anew: nothing happens while bid and ask stay strictly inside it."""
        trailing_bid, trailing_ask = self.trailing_bid, self.trailing_ask
        self.bid_low = -min(self.falling_bid.first, trailing_bid.first)
        self.bid_high = min(self.rising_bid.first, 1 - trailing_bid.mark)
        self.ask_low = max(-self.falling_ask.first, trailing_ask.mark - 1)
        self.ask_high = min(self.rising_ask.first, trailing_ask.first)

    def move_trailing(self, bid: int, ask: int) -> None:
        self.trailing_bid.move(-bid)
        self.trailing_ask.move(ask)
        self.narrow()

    def take_falling(self, bid: int, ask: int) -> list[Entry]:
        """What fires on falling prices, in order: highest first."""
        taken = self.falling_bid.take(-bid) + self.trailing_bid.take(-bid) + self.falling_ask.take(-ask)
        taken.sort()
        return taken

    def take_rising(self, bid: int, ask: int) -> list[Entry]:
        """What fires on rising prices, in order: lowest first."""
        taken = self.rising_bid.take(bid) + self.rising_ask.take(ask) + self.trailing_ask.take(ask)
        taken.sort()
        return taken

    def add_trade(self, trade: Trade, best_price: int) -> None:
        for level_class in TRADE_LEVELS:
            self.add_level(trade, level_class, best_price)

    def forget_trade(self, trade: Trade) -> None:
        """The trade is gone, and its levels with it."""
        for level_class in TRADE_LEVELS:
            self.forget_level(trade, level_class)

    def add_level(self, trade: Trade, level_class: int, best_price: int) -> None:
        """`best_price`: of the watched prices since a trailing stop was set; at first the present one."""
        level, long = trade.level(level_class), trade.side == "long"
        if level is None:
            return
        entry = (level, level_class, trade.level_set(level_class), trade.id)
        if level_class == TRAILING_STOP:
            self._trailing(long).add(entry, -best_price if long else best_price)
        else:
            self._add_fixed(long, level_class == TAKE_PROFIT, entry)

    def forget_level(self, trade: Trade, level_class: int) -> None:
        if trade.level(level_class) is None:
            return
        long = trade.side == "long"
        if level_class == TRAILING_STOP:
            self._trailing(long).forget()
        else:
            self._fixed(long, level_class == TAKE_PROFIT).forget()

    def add_order(self, order: Order, best_price: int) -> None:
        """`best_price` as above; it matters to trailing orders only."""
        selling = order.side == "sell"
        if order.distance is not None:
            trailing = (order.distance, ORDER, order.position, order.id)
            self._trailing(selling).add(trailing, -best_price if selling else best_price)
        elif order.price is not None:
            fixed = (order.price, ORDER, order.position, order.id)
            self._add_fixed(selling, order.order_type in _BETTER_ORDERS, fixed)

    def forget_order(self, order: Order) -> None:
        selling = order.side == "sell"
        if order.distance is not None:
            self._trailing(selling).forget()
        else:
            self._fixed(selling, order.order_type in _BETTER_ORDERS).forget()

    def trailing_level_of_trade(self, trade: Trade) -> int | None:
        """Where a trade's trailing stop stands now."""
        if trade.trailing_stop is None:
            return None
        return self._trailing_level(trade.side == "long", trade.trailing_stop_set, trade.trailing_stop)

    def trailing_level_of_order(self, order: Order) -> int | None:
        if order.distance is None:
            return None
        return self._trailing_level(order.side == "sell", order.position, order.distance)

    def _trailing_level(self, watches_bid: bool, position: int, distance: int) -> int:
        key = self._trailing(watches_bid).best_prices().at(position) + distance
        return -key if watches_bid else key

    def _trailing(self, watches_bid: bool) -> TrailingBook:
        return self.trailing_bid if watches_bid else self.trailing_ask

    def _fixed(self, watches_bid: bool, better: bool) -> LevelHeap:
        if watches_bid:
            return self.rising_bid if better else self.falling_bid
        return self.falling_ask if better else self.rising_ask

    def _add_fixed(self, watches_bid: bool, better: bool, entry: Entry) -> None:
        """Add an entry that carries its level; the heaps of falling prices keep the negative."""
        rising = watches_bid == better
        self._fixed(watches_bid, better).add(entry if rising else (-entry[0], *entry[1:]))
