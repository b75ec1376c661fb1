"""The state of one shard, and the JSON forms of its outputs."""

from typing import Any

from tests.support.reference.numbers import decimal
from tests.support.reference.records import Ledger, Level, Market, Order, Trade

Json = dict[str, Any]


class Refused(Exception):
    """The instruction is answered with this code and changes nothing."""


def refuse(code: str, when: bool) -> None:
    if when:
        raise Refused(code)


class Shard:
    """The state of one shard. Trades, orders and the engine are subclasses."""

    def __init__(self, shard: int = 0) -> None:
        self.shard = shard
        self.position = 0
        self.log_time = 0
        self.undecodable = 0
        self.dropped: dict[str, int] = {}
        self.markets: dict[str, Market] = {}
        self.accounts: dict[str, bool] = {}  # name → halted
        self.trades: dict[str, Trade] = {}  # open ones
        self.orders: dict[str, Order] = {}  # resting ones
        self.answers: dict[tuple[str, str], tuple[int, Json]] = {}  # (account, id) → time and answer
        self.ledger = Ledger()
        self.turns = 0
        self.closings: list[Json] = []  # of this message
        self.changed: list[str] = []  # accounts changed by this message, in order

    def output_id(self, ordinal: int) -> str:
        return f"{self.shard}:{self.position}:{ordinal}"

    def new_level(self, price: int) -> Level:
        self.turns += 1
        return Level(price, self.turns)

    def open_market(self, symbol: str) -> Market:
        """The market of a symbol, if one can trade on it now."""
        refuse("MARKET_NOT_FOUND", symbol not in self.markets)
        market = self.markets[symbol]
        refuse("MARKET_HALTED", market.halted)
        refuse("PRICE_STALE", market.update_id is None)
        refuse("PRICE_STALE", self.log_time - market.accepted_at > market.max_price_age_us)
        return market

    def closed_order(self, subject: Trade | Order, kind: str, quantity: int, reason: str) -> Json:
        """The common fields of trades and orders. Others are `None`; the caller fills them in."""
        return {
            "type": "closed_order",
            "id": None,
            "time": None,
            "account": subject.account,
            "trade": subject.id if kind == "trade" else None,
            "order": subject.id if kind == "order" else None,
            "symbol": subject.symbol,
            "side": subject.side,
            "quantity": decimal(quantity),
            "entry": None,
            "exit": None,
            "profit": None,
            "fee": None,
            "margin": None,
            "leverage": None,
            "reason": reason,
            "code": None,
            "remaining": "0",
            "opened": subject.opened,
            "closed": self.log_time,
        }

    def change(self, account: str) -> None:
        if account not in self.changed:
            self.changed.append(account)

    def balance_update(self, account: str) -> Json:
        head = {"type": "balance_update", "id": None, "time": None, "account": account}
        return head | self.balances_of(account)

    def balances_of(self, account: str) -> Json:
        """The balances of an account, in the fields of a `balance_update`."""
        usd = {place: decimal(self.ledger.of(account, place)) for place in ("cash", "margin", "locked")}
        free, locked = self.ledger.assets(account, "free"), self.ledger.assets(account, "locked")
        return usd | {
            "balances": {asset: decimal(amount) for asset, amount in free.items()},
            "locked_balances": {asset: decimal(amount) for asset, amount in locked.items()},
        }
