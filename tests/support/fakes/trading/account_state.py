"""The state of accounts, in memory."""

from paceline.ports.trading import Balance, OpenTrade, RestingOrder
from tests.support.fakes.store import FakeStore


class FakeAccountState(FakeStore):
    """`whole` says whether an account without trades is known to have none, or nothing is known of it."""

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole
        self.balances: dict[str, Balance] = {}
        self.trades: dict[str, list[OpenTrade]] = {}
        self.orders: dict[str, list[RestingOrder]] = {}

    def balance(self, account: str) -> Balance | None:
        self._reach()
        return self.balances.get(account) if self.whole else None

    def open_trades(self, account: str) -> list[OpenTrade] | None:
        self._reach()
        return list(self.trades.get(account, ())) if self.whole else None

    def resting_orders(self, account: str) -> list[RestingOrder] | None:
        self._reach()
        return list(self.orders.get(account, ())) if self.whole else None
