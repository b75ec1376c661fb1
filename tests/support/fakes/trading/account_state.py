"""The state of accounts, in memory."""

from paceline.ports.trading import Balance, OpenTrade, RestingOrder
from tests.support.fakes.store import FakeStore


class FakeAccountState(FakeStore):
    """With `complete=False` the state of every account is unknown, as during a rebuild of Redis."""

    def __init__(self, *, complete: bool = True) -> None:
        self.complete = complete
        self.balances: dict[str, Balance] = {}
        self.trades: dict[str, list[OpenTrade]] = {}
        self.orders: dict[str, list[RestingOrder]] = {}

    def balance(self, account: str) -> Balance | None:
        self._check_available()
        return self.balances.get(account) if self.complete else None

    def open_trades(self, account: str) -> list[OpenTrade] | None:
        self._check_available()
        return list(self.trades.get(account, ())) if self.complete else None

    def resting_orders(self, account: str) -> list[RestingOrder] | None:
        self._check_available()
        return list(self.orders.get(account, ())) if self.complete else None
