"""Spot orders, which are paid from balances."""

from tests.support.reference import numbers
from tests.support.reference.decoding import Message
from tests.support.reference.numbers import decimal
from tests.support.reference.records import HOUSE, Market, Order, watched_by_order
from tests.support.reference.shard import Json, Refused, Shard, refuse


class Orders(Shard):
    """`place_order`, `cancel_order`, and the fills of resting orders."""

    def place_order(self, m: Message) -> Json:
        account, side, order_type, quantity = m["account"], m["side"], m["order_type"], m["quantity"]
        refuse("ACCOUNT_HALTED", self.accounts[account])
        market = self.open_market(m["symbol"])
        refuse("INVALID_QUANTITY", quantity == 0 or quantity % market.quantity_step != 0)
        execution = market.buys_at(side)
        price = self.price_of_order(m, market)
        refuse("INVALID_STOP", self.has_invalid_level(m, price, market))
        limit_reached = execution <= price if side == "buy" else execution >= price
        at_once = order_type == "market" or (order_type == "limit" and limit_reached)
        if at_once:
            slipped = numbers.slipped(
                side == "buy", execution, m.get("expected_price"), m.get("max_slippage_bps")
            )
            refuse("SLIPPAGE_EXCEEDED", slipped)
        refuse("BELOW_MINIMUM", numbers.notional_down(price, quantity) < market.min_notional)
        partner = self.free_partner(m)
        needed = self.needed(side, execution if at_once else price, quantity, market)
        refuse("INSUFFICIENT_BALANCE", needed > self.spendable(account, side, market.base))

        order = Order(
            id=self.output_id(0),
            account=account,
            symbol=market.symbol,
            base=market.base,
            side=side,
            order_type=order_type,
            quantity=quantity,
            level=self.new_level(price),
            lock=0 if at_once else needed,
            opened=self.log_time,
            trailing_distance=m.get("distance", 0),
        )
        self.orders[order.id] = order
        self.change(account)
        if partner is not None:
            order.partner, partner.partner = partner.id, order.id
        if not at_once:
            self.move_lock(order, order.lock)
            return {"order": order.id}
        fee = self.fill(order, market, market.taker_rate_bps, taken_from="free")
        return {
            "order": order.id,
            "price": decimal(execution),
            "quantity": decimal(quantity),
            "fee": decimal(fee),
        }

    def price_of_order(self, m: Message, market: Market) -> int:
        """The price of an order: the execution price of a market order, the first level of a trailing one."""
        price: int = m.get("price", 0)
        watched = watched_by_order(m["side"], market)
        if m["order_type"] == "market":
            price = watched
        if m["order_type"] == "trailing_stop":
            price = watched + m["distance"] if m["side"] == "buy" else watched - m["distance"]
        return price

    def has_invalid_level(self, m: Message, price: int, market: Market) -> bool:
        """True for a stop or take_profit that is already reached, and a trailing stop without distance."""
        buy = m["side"] == "buy"
        if m["order_type"] == "stop":
            return market.ask >= price if buy else market.bid <= price
        if m["order_type"] == "take_profit":
            return market.ask <= price if buy else market.bid >= price
        if m["order_type"] == "trailing_stop":
            return m["distance"] == 0 or price <= 0
        return False

    def free_partner(self, m: Message) -> Order | None:
        if "oco_with" not in m:
            return None
        partner = self.orders.get(m["oco_with"])
        if partner is None or partner.account != m["account"] or partner.partner is not None:
            raise Refused("ORDER_NOT_FOUND")
        return partner

    def needed(self, side: str, price: int, quantity: int, market: Market) -> int:
        """The amount that an order costs or locks: USD with the taker fee for a buy, the asset for a sell."""
        if side == "sell":
            return quantity
        fee = numbers.share_of_notional(price, quantity, market.taker_rate_bps)
        return numbers.notional_up(price, quantity) + fee

    def spendable(self, account: str, side: str, base: str) -> int:
        if side == "sell":
            return self.ledger.of(account, "free", base)
        return self.ledger.of(account, "cash")

    def move_lock(self, order: Order, amount: int) -> None:
        """Move an amount into the lock, or out of it if negative."""
        asset, place = ("USD", "cash") if order.side == "buy" else (order.base, "free")
        self.ledger.post(asset, (order.account, place, -amount), (order.account, "locked", amount))

    def fill_resting(self, order: Order, market: Market) -> None:
        """A limit pays the maker rate. A buy that costs more than its lock and the cash is rejected."""
        rate_bps = market.maker_rate_bps if order.order_type == "limit" else market.taker_rate_bps
        if order.side == "buy":
            cost = numbers.notional_up(market.ask, order.quantity)
            cost += numbers.share_of_notional(market.ask, order.quantity, rate_bps)
            if cost - order.lock > self.ledger.of(order.account, "cash"):
                self.end_unfilled(order, "rejected", "INSUFFICIENT_BALANCE")
                return
        self.fill(order, market, rate_bps, taken_from="locked")

    def fill(self, order: Order, market: Market, rate_bps: int, taken_from: str) -> int:
        """Fill all of it at the present price; returns the fee."""
        account, base, quantity = order.account, order.base, order.quantity
        price = market.buys_at(order.side)
        fee = numbers.share_of_notional(price, quantity, rate_bps)
        if order.side == "buy":
            self.move_lock(order, -order.lock)
            notional = numbers.notional_up(price, quantity)
            self.ledger.post(
                "USD", (account, "cash", -notional - fee), (HOUSE, "house", notional), (HOUSE, "fees", fee)
            )
            self.ledger.post(base, (HOUSE, "house", -quantity), (account, "free", quantity))
        else:
            notional = numbers.notional_down(price, quantity)
            fee = min(fee, notional)
            self.ledger.post(base, (account, taken_from, -quantity), (HOUSE, "house", quantity))
            self.ledger.post(
                "USD", (HOUSE, "house", -notional), (account, "cash", notional - fee), (HOUSE, "fees", fee)
            )
        self.end(order, "filled", None, {"exit": decimal(price), "fee": decimal(fee)})
        return fee

    def cancel_order(self, m: Message) -> Json:
        order = self.orders.get(m["order"])
        if order is None or order.account != m["account"]:
            raise Refused("ORDER_NOT_FOUND")
        self.end_unfilled(order, "cancelled", None)
        return {"order": order.id}

    def end_unfilled(self, order: Order, reason: str, code: str | None) -> None:
        self.move_lock(order, -order.lock)
        self.end(order, reason, code, {})

    def end(self, order: Order, reason: str, code: str | None, details: Json) -> None:
        """Remove the order. If it has a partner, cancel the partner right after it."""
        del self.orders[order.id]
        self.closings.append(
            self.closed_order(order, "order", order.quantity, reason) | {"code": code} | details
        )
        self.change(order.account)
        if order.partner is not None:
            partner = self.orders[order.partner]
            partner.partner = None
            self.end_unfilled(partner, "cancelled", None)
