"""The state that the engine keeps between two messages."""

from typing import Final

from paceline.engine.answers import AnswerHistory
from paceline.engine.books import Books
from paceline.engine.copy_on_write import CopyOnWriteStore
from paceline.engine.levels import ORDER, IsLive, LevelEntry
from paceline.engine.records import UNSET, Account, Order, Trade
from paceline.engine.refusals import Refusal
from paceline.messages.inbound import ConfigureMarket

# Why a price update is dropped, in the order in which the reasons are checked.
DROP_REASONS: Final = ("market_not_configured", "update_id_not_above_last", "price_zero", "bid_not_below_ask")


class HouseLedger:
    """The platform's side of every posting: USD, and `house` (other side of profits and fills) per asset."""

    __slots__ = ("external", "fees", "house", "insurance")

    def __init__(self, external: int, fees: int, insurance: int, house: dict[str, int]) -> None:
        self.external = external
        self.fees = fees
        self.insurance = insurance
        self.house = house


class MarketState:
    __slots__ = (
        "accepted_us",
        "ask",
        "base",
        "bid",
        "books",
        "config",
        "halted",
        "maintenance_rate_bps",
        "maker_rate_bps",
        "max_leverage",
        "max_price_age_us",
        "min_notional",
        "quantity_step",
        "symbol",
        "taker_rate_bps",
        "update_id",
    )

    def __init__(self, config: ConfigureMarket, is_live: IsLive) -> None:
        self.configure(config)
        self.halted = False
        self.bid = 0
        self.ask = 0
        self.update_id = -1
        self.accepted_us = UNSET
        """Log time at which the last price was accepted; `UNSET` before the first."""
        self.books = Books(is_live)

    def configure(self, config: ConfigureMarket) -> None:
        """Copy the fields of the configuration: reading one from a message takes 100 times as long."""
        self.config = config
        self.symbol: str = config.symbol
        self.base: str = config.base
        self.quantity_step: int = config.quantity_step
        self.min_notional: int = config.min_notional
        self.max_leverage: int = config.max_leverage
        self.maker_rate_bps: int = config.maker_rate_bps
        self.taker_rate_bps: int = config.taker_rate_bps
        self.maintenance_rate_bps: int = config.maintenance_rate_bps
        self.max_price_age_us: int = config.max_price_age_us

    def refusal(self, log_time: int) -> Refusal | None:
        """Why this market cannot be traded now; None if it can."""
        if self.halted:
            return "MARKET_HALTED"
        if self.accepted_us == UNSET or log_time - self.accepted_us > self.max_price_age_us:
            return "PRICE_STALE"
        return None


class State:
    __slots__ = (
        "accounts",
        "answers",
        "dropped",
        "house",
        "id_prefix",
        "log_time",
        "markets",
        "orders",
        "position",
        "shard",
        "trades",
        "undecodable",
    )

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.id_prefix = f"{shard}:"
        """Prefix of the ids of all outputs."""
        self.position = 0
        self.log_time = 0
        self.markets: dict[str, MarketState] = {}
        self.accounts: CopyOnWriteStore[str, Account] = CopyOnWriteStore()
        self.trades: CopyOnWriteStore[str, Trade] = CopyOnWriteStore()
        self.orders: CopyOnWriteStore[str, Order] = CopyOnWriteStore()
        self.answers = AnswerHistory()
        self.house = HouseLedger(0, 0, 0, {})
        self.dropped = dict.fromkeys(DROP_REASONS, 0)
        self.undecodable = 0

    def is_live(self, entry: LevelEntry) -> bool:
        """Whether a heap entry is valid: its trade or order exists, and its level was not set again since."""
        if entry.level_class == ORDER:
            return entry.id in self.orders
        trade = self.trades.get(entry.id)
        return trade is not None and trade.level_set(entry.level_class) == entry.position

    def trade_of(self, account: str, trade: str) -> Trade | None:
        """The open trade, if it belongs to this account."""
        found = self.trades.get(trade)
        return found if found is not None and found.account == account else None

    def order_of(self, account: str, order: str) -> Order | None:
        """The resting order, if it belongs to this account."""
        found = self.orders.get(order)
        return found if found is not None and found.account == account else None
