"""The specification as a program: slow, simple, and without any code of the engine that it checks.

    engine = ReferenceEngine(shard=0)
    outputs = engine.apply_line('{"type": …}')      # JSON objects in the form of `--out`

Every price update checks every trade and every order. A refusal is raised before any change, so the order
of the `refuse` lines in a method is the order of the refusals in the specification.
"""

from typing import Any

from tests.support.reference import numbers
from tests.support.reference.decoding import Message, Undecodable, decode, decode_line
from tests.support.reference.orders import Orders
from tests.support.reference.records import (
    HOUSE,
    Due,
    Market,
    Order,
    Trade,
    order_level,
    trade_levels,
    watched_by_order,
)
from tests.support.reference.shard import Json, Refused, refuse
from tests.support.reference.trades import Trades


class ReferenceEngine(Trades, Orders):
    """Applies messages one by one and returns the outputs of each."""

    # ── one message ─────────────────────────────────────────────────────────────────────────────

    def apply_line(self, line: str | bytes) -> list[Json]:
        """Outputs of one line of a file. An invalid line is counted and has no outputs."""
        try:
            message = decode_line(line)
        except Undecodable:
            return self.skip()
        return self.apply(message)

    def apply_json(self, data: Any) -> list[Json]:
        """Outputs of one JSON value, as `apply_line`."""
        try:
            message = decode(data)
        except Undecodable:
            return self.skip()
        return self.apply(message)

    def skip(self) -> list[Json]:
        self.undecodable += 1
        self.position += 1
        return []

    def apply(self, message: Message) -> list[Json]:
        """Outputs of a decoded message."""
        self.closings, self.changed = [], []
        self.log_time = max(self.log_time, message["time"])
        answers: list[Json] = []
        if message["type"] == "price_update":
            self.take_price(message)
        elif message["type"] == "admin_instruction":
            self.administer(message)
        else:
            answers = [self.answer(message)]
        outputs = answers + self.closings + [self.balance_update(account) for account in self.changed]
        for ordinal, output in enumerate(outputs):
            output["id"] = self.output_id(ordinal)
            output["time"] = self.log_time
        self.position += 1
        return outputs

    # ── prices ──────────────────────────────────────────────────────────────────────────────────

    def take_price(self, m: Message) -> None:
        market = self.markets.get(m["symbol"])
        if market is None:
            return self.drop("market_not_configured")
        if market.update_id is not None and m["update_id"] <= market.update_id:
            return self.drop("update_id_not_above_last")
        if m["bid"] == 0 or m["ask"] == 0:
            return self.drop("price_zero")
        if m["bid"] >= m["ask"]:
            return self.drop("bid_not_below_ask")
        market.bid, market.ask = m["bid"], m["ask"]
        market.update_id, market.accepted_at = m["update_id"], self.log_time
        if not market.halted:
            self.move_trailing_levels(market)
            self.fire(market, falling=True)
            self.fire(market, falling=False)
        return None

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def move_trailing_levels(self, market: Market) -> None:
        """Levels of longs and sells only move up, those of shorts and buys only down."""
        for trade in self.trades.values():
            if trade.symbol == market.symbol and "trailing_stop" in trade.levels:
                level, watched = trade.levels["trailing_stop"], market.leaves_at(trade.side)
                if trade.side == "long":
                    level.price = max(level.price, watched - trade.trailing_distance)
                else:
                    level.price = min(level.price, watched + trade.trailing_distance)
        for order in self.orders.values():
            if order.symbol == market.symbol and order.order_type == "trailing_stop":
                watched = watched_by_order(order.side, market)
                if order.side == "sell":
                    order.level.price = max(order.level.price, watched - order.trailing_distance)
                else:
                    order.level.price = min(order.level.price, watched + order.trailing_distance)

    def fire(self, market: Market, *, falling: bool) -> None:
        """Fire all reached levels of one direction in order. Ended trades and orders do not fire."""
        reached = [
            due for due in self.levels(market) if due.falling == falling and self.is_reached(due, market)
        ]
        for due in sorted(reached, key=Due.turn_to_fire):
            if isinstance(due.subject, Trade) and due.subject.id in self.trades:
                self.close(due.subject, due.subject.quantity, due.level_class)
            elif isinstance(due.subject, Order) and due.subject.id in self.orders:
                self.fill_resting(due.subject, market)

    def levels(self, market: Market) -> list[Due]:
        levels = [due for t in self.trades.values() if t.symbol == market.symbol for due in trade_levels(t)]
        return levels + [order_level(o) for o in self.orders.values() if o.symbol == market.symbol]

    def is_reached(self, due: Due, market: Market) -> bool:
        subject = due.subject
        watched = (
            market.leaves_at(subject.side)
            if isinstance(subject, Trade)
            else watched_by_order(subject.side, market)
        )
        return watched <= due.level.price if due.falling else watched >= due.level.price

    # ── admin instructions ──────────────────────────────────────────────────────────────────────

    def administer(self, m: Message) -> None:
        """Halting or resuming an unknown market or account has no effect."""
        kind = m["kind"]
        if kind == "configure_market":
            self.configure(m)
        elif kind in ("halt_market", "resume_market") and m["symbol"] in self.markets:
            self.markets[m["symbol"]].halted = kind == "halt_market"
        elif kind in ("halt_account", "resume_account") and m["account"] in self.accounts:
            self.accounts[m["account"]] = kind == "halt_account"

    def configure(self, m: Message) -> None:
        """Replace rates, step and limits of a known symbol; keep its base, price and halt."""
        settings = {name: value for name, value in m.items() if name not in ("type", "kind", "id", "time")}
        known = self.markets.get(m["symbol"])
        if known is None:
            self.markets[m["symbol"]] = Market(**settings)
            return
        for name, value in settings.items():
            if name != "base":
                setattr(known, name, value)

    # ── user instructions ───────────────────────────────────────────────────────────────────────

    def answer(self, m: Message) -> Json:
        """The `order_response`: the first answer for a repeated id, otherwise a new one."""
        key = m["account"], m["id"]
        if key in self.answers:
            answered_at, first = self.answers[key]
            if self.log_time - answered_at <= numbers.DAY_US:
                return first | {"duplicate": True}
        existed = m["account"] in self.accounts
        try:
            response = self.response(m, "accepted", **self.execute(m))
        except Refused as refusal:
            response = self.response(m, "rejected", code=str(refusal))
        if existed:
            self.answers[key] = self.log_time, dict(response)
        return response

    def response(self, m: Message, status: str, **details: Any) -> Json:
        nothing = dict.fromkeys(("code", "trade", "order", "price", "quantity", "fee", "liquidation"))
        head = {"type": "order_response", "id": None, "time": None, "instruction": m["id"]}
        return head | {"account": m["account"], "status": status} | nothing | details | {"duplicate": False}

    def execute(self, m: Message) -> Json:
        """Execute the instruction and return the fields of its response. Raises `Refused`."""
        if m["kind"] == "open_account":
            refuse("ACCOUNT_EXISTS", m["account"] in self.accounts)
            return self.open_account(m)
        refuse("ACCOUNT_NOT_FOUND", m["account"] not in self.accounts)
        action = {
            "deposit": self.deposit,
            "withdraw": self.withdraw,
            "create_trade": self.create_trade,
            "amend_trade": self.amend_trade,
            "close_trade": self.close_trade,
            "place_order": self.place_order,
            "cancel_order": self.cancel_order,
        }[m["kind"]]
        return action(m)

    def open_account(self, m: Message) -> Json:
        account, amount = m["account"], m["initial_balance"]
        self.accounts[account] = False
        self.ledger.post("USD", (HOUSE, "external", -amount), (account, "cash", amount))
        self.change(account)
        return {}

    def deposit(self, m: Message) -> Json:
        account, amount = m["account"], m["amount"]
        self.ledger.post("USD", (HOUSE, "external", -amount), (account, "cash", amount))
        self.change(account)
        return {}

    def withdraw(self, m: Message) -> Json:
        account, amount = m["account"], m["amount"]
        refuse("INSUFFICIENT_BALANCE", amount > self.ledger.of(account, "cash"))
        self.ledger.post("USD", (account, "cash", -amount), (HOUSE, "external", amount))
        self.change(account)
        return {}
