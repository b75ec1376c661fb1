"""Leveraged trades, each with its own margin."""

from tests.support.reference import numbers
from tests.support.reference.decoding import Message
from tests.support.reference.numbers import decimal
from tests.support.reference.records import HOUSE, Market, Trade
from tests.support.reference.shard import Json, Refused, Shard, refuse


class Trades(Shard):
    """`create_trade`, `amend_trade`, `close_trade`, and the closing of trades by levels and users."""

    def create_trade(self, m: Message) -> Json:
        account, side, margin, leverage = m["account"], m["side"], m["margin"], m["leverage"]
        refuse("ACCOUNT_HALTED", self.accounts[account])
        market = self.open_market(m["symbol"])
        refuse("LEVERAGE_OUT_OF_RANGE", not 1 <= leverage <= market.max_leverage)
        refuse("INVALID_STOP", self.has_invalid_stop(m, side, market, market.ask, market.bid))
        entry = market.buys_at(side)
        slipped = numbers.slipped(side == "long", entry, m.get("expected_price"), m.get("max_slippage_bps"))
        refuse("SLIPPAGE_EXCEEDED", slipped)
        quantity = numbers.trade_quantity(margin, leverage, entry, market.quantity_step)
        refuse("BELOW_MINIMUM", quantity == 0)
        refuse("BELOW_MINIMUM", numbers.notional_down(entry, quantity) < market.min_notional)
        liquidation = numbers.liquidation_level(side, entry, quantity, margin, market.maintenance_rate_bps)
        if liquidation is not None:
            at_once = liquidation >= market.bid if side == "long" else liquidation <= market.ask
            refuse("LIQUIDATES_AT_ONCE", at_once)
        fee = numbers.share_of_notional(entry, quantity, market.taker_rate_bps)
        refuse("INSUFFICIENT_BALANCE", margin + fee > self.ledger.of(account, "cash"))

        trade_id = self.output_id(0)
        trade = Trade(trade_id, account, m["symbol"], side, quantity, entry, margin, leverage, self.log_time)
        if liquidation is not None:
            trade.levels["liquidation"] = self.new_level(liquidation)
        self.set_levels(trade, m, market)
        self.trades[trade_id] = trade
        self.ledger.post("USD", (account, "cash", -margin), (account, "margin", margin))
        self.ledger.post("USD", (account, "cash", -fee), (HOUSE, "fees", fee))
        self.change(account)
        return {
            "trade": trade_id,
            "price": decimal(entry),
            "quantity": decimal(quantity),
            "fee": decimal(fee),
            "liquidation": None if liquidation is None else decimal(liquidation),
        }

    def has_invalid_stop(
        self, m: Message, side: str, market: Market, long_profits_above: int, short_profits_below: int
    ) -> bool:
        """Check the levels that the message sets. The bounds of the take profit differ by message kind."""
        stop, target, distance = m.get("stop_loss"), m.get("take_profit"), m.get("trailing_stop")
        if side == "long":
            bad_stop = stop is not None and not stop < market.bid
            bad_target = target is not None and not target > long_profits_above
            bad_distance = distance is not None and not 0 < distance < market.bid
        else:
            bad_stop = stop is not None and not stop > market.ask
            bad_target = target is not None and not target < short_profits_below
            bad_distance = distance is not None and not distance > 0
        return bad_stop or bad_target or bad_distance

    def set_levels(self, trade: Trade, m: Message, market: Market) -> None:
        """Replace each level that the message contains, even by the same value. `None` removes a level."""
        for name in ("stop_loss", "trailing_stop", "take_profit"):
            if name not in m:
                continue
            trade.levels.pop(name, None)
            if m[name] is None:
                continue
            price = m[name]
            if name == "trailing_stop":
                trade.trailing_distance = m[name]
                watched = market.leaves_at(trade.side)
                price = watched - m[name] if trade.side == "long" else watched + m[name]
            trade.levels[name] = self.new_level(price)

    def own_trade(self, m: Message) -> Trade:
        trade = self.trades.get(m["trade"])
        if trade is None or trade.account != m["account"]:
            raise Refused("TRADE_NOT_FOUND")
        return trade

    def amend_trade(self, m: Message) -> Json:
        trade = self.own_trade(m)
        market = self.open_market(trade.symbol)
        refuse("INVALID_STOP", self.has_invalid_stop(m, trade.side, market, market.bid, market.ask))
        self.set_levels(trade, m, market)
        return {"trade": trade.id}

    def close_trade(self, m: Message) -> Json:
        trade = self.own_trade(m)
        market = self.open_market(trade.symbol)
        part = min(m.get("quantity", trade.quantity), trade.quantity)
        if part < trade.quantity:
            part = numbers.down_to_step(part, market.quantity_step)
        refuse("BELOW_MINIMUM", part == 0)
        fee = self.close(trade, part, "user")
        price = market.leaves_at(trade.side)
        return {"trade": trade.id, "price": decimal(price), "quantity": decimal(part), "fee": decimal(fee)}

    def close(self, trade: Trade, part: int, reason: str) -> int:
        """Close all of a trade or a part at the present price; returns the fee."""
        market = self.markets[trade.symbol]
        exit_price = market.leaves_at(trade.side)
        is_all = part == trade.quantity
        margin = trade.margin if is_all else trade.margin * part // trade.quantity
        profit = numbers.profit(trade.side, trade.entry, exit_price, part)
        left = margin + profit
        exit_fee = numbers.share_of_notional(exit_price, part, market.taker_rate_bps)
        fee = min(exit_fee, max(0, left))
        self.ledger.post(
            "USD",
            (trade.account, "margin", -margin),
            (HOUSE, "house", -profit),
            (trade.account, "cash", max(0, left) - fee),
            (HOUSE, "fees", fee),
            (HOUSE, "insurance", -max(0, -left)),
        )
        trade.margin -= margin
        trade.quantity -= part
        if is_all:
            del self.trades[trade.id]
        self.closings.append(
            self.closed_order(trade, "trade", part, reason)
            | {
                "entry": decimal(trade.entry),
                "exit": decimal(exit_price),
                "profit": decimal(profit),
                "fee": decimal(fee),
                "margin": decimal(margin),
                "leverage": trade.leverage,
                "remaining": decimal(trade.quantity),
            }
        )
        self.change(trade.account)
        return fee
