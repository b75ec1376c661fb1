"""Closed orders, in memory."""

from paceline.core.pages import Page
from paceline.ports.trading import ClosedOrderRow
from tests.support.fakes.store import FakeStore


class FakeClosedOrders(FakeStore):
    """`closed` by account in the order of the log."""

    def __init__(self) -> None:
        self.closed: dict[str, list[ClosedOrderRow]] = {}

    def closed_orders(
        self,
        account: str,
        *,
        symbol: str | None,
        from_us: int | None,
        to_us: int | None,
        offset: int,
        limit: int,
    ) -> Page[ClosedOrderRow]:
        self._check_available()
        found = [
            row
            for row in reversed(self.closed.get(account, []))
            if (symbol is None or row.symbol == symbol)
            and (from_us is None or row.closed >= from_us)
            and (to_us is None or row.closed < to_us)
        ]
        return Page(found[offset : offset + limit], len(found))
