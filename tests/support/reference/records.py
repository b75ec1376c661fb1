"""The state of the reference engine: markets, trades, orders and a ledger of postings."""

from collections.abc import Iterator
from dataclasses import dataclass, field

USD = "USD"
HOUSE = ""  # owner of `external`, `fees`, `insurance` and `house`

# Of equal levels, the class that comes first here fires first.
CLASSES = ("liquidation", "stop_loss", "trailing_stop", "take_profit", "order")


@dataclass
class Market:
    """One symbol: its configuration, which may be replaced, and its last accepted price."""

    symbol: str
    base: str
    quantity_step: int
    min_notional: int
    max_leverage: int
    maker_rate_bps: int
    taker_rate_bps: int
    maintenance_rate_bps: int
    max_price_age_us: int
    halted: bool = False
    bid: int = 0
    ask: int = 0
    update_id: int | None = None  # None: no price was ever accepted
    accepted_at: int = 0  # log time

    def buys_at(self, side: str) -> int:
        """The entry price of a side: the ask for long and buy, the bid for short and sell."""
        return self.ask if side in ("long", "buy") else self.bid

    def leaves_at(self, side: str) -> int:
        """The exit price of a trade, which its levels watch too: the bid for long, the ask for short."""
        return self.bid if side == "long" else self.ask


@dataclass
class Level:
    """A trigger price. `turn` orders levels by the time at which they were set."""

    price: int
    turn: int


@dataclass
class Trade:
    id: str
    account: str
    symbol: str
    side: str
    quantity: int
    entry: int
    margin: int
    leverage: int
    opened: int
    levels: dict[str, Level] = field(default_factory=dict)  # by class
    trailing_distance: int = 0


@dataclass
class Order:
    """A spot order. `lock` is USD for a buy and the asset for a sell; a trailing `level` moves."""

    id: str
    account: str
    symbol: str
    base: str
    side: str
    order_type: str
    quantity: int
    level: Level
    lock: int
    opened: int
    trailing_distance: int = 0
    partner: str | None = None


class Ledger:
    """Balances by (owner, place, asset), changed only by postings that sum to zero per asset."""

    def __init__(self) -> None:
        self.balances: dict[tuple[str, str, str], int] = {}

    def post(self, asset: str, *postings: tuple[str, str, int]) -> None:
        """Apply `(owner, place, amount)` postings of an asset; the amounts sum to zero."""
        assert sum(amount for _, _, amount in postings) == 0, postings
        for owner, place, amount in postings:
            self.balances[owner, place, asset] = self.of(owner, place, asset) + amount

    def of(self, owner: str, place: str, asset: str = USD) -> int:
        return self.balances.get((owner, place, asset), 0)

    def assets(self, owner: str, place: str) -> dict[str, int]:
        """The amount of each base that an account has in `free` or `locked`, without zeros."""
        return {
            asset: amount
            for (who, where, asset), amount in sorted(self.balances.items())
            if who == owner and where == place and asset != USD and amount
        }

    def totals(self) -> dict[str, dict[str, int]]:
        """Asset → place → sum over all owners."""
        totals: dict[str, dict[str, int]] = {}
        for (_, place, asset), amount in self.balances.items():
            places = totals.setdefault(asset, {})
            places[place] = places.get(place, 0) + amount
        return totals

    def check(self) -> None:
        """Everything sums to zero per asset and no account's balance is negative."""
        for asset, places in self.totals().items():
            assert sum(places.values()) == 0, (asset, places)
        for (owner, place, asset), amount in self.balances.items():
            assert owner == HOUSE or amount >= 0, (owner, place, asset, amount)


@dataclass
class Due:
    """A level with the trade or order that it belongs to."""

    level: Level
    level_class: str
    falling: bool
    subject: Trade | Order

    def turn_to_fire(self) -> tuple[int, int, int]:
        """Sort key: highest price first when falling, lowest first when rising; then class; then time set."""
        price = -self.level.price if self.falling else self.level.price
        return price, CLASSES.index(self.level_class), self.level.turn


def trade_levels(trade: Trade) -> Iterator[Due]:
    """The take profit of a long fires on rising prices, its other levels on falling ones; shorts mirror."""
    for level_class, level in trade.levels.items():
        falling = (trade.side == "long") != (level_class == "take_profit")
        yield Due(level, level_class, falling, trade)


def order_level(order: Order) -> Due:
    """Limit and take_profit buys fire on a falling ask, other buys on a rising one; sells mirror them."""
    waits_for_better = order.order_type in ("limit", "take_profit")
    return Due(order.level, "order", (order.side == "buy") == waits_for_better, order)


def watched_by_order(side: str, market: Market) -> int:
    return market.ask if side == "buy" else market.bid
