"""The configured markets, in memory."""

from paceline.ports.market import Market
from tests.support.fakes.store import FakeStore


class FakeMarkets(FakeStore):
    def __init__(self, *markets: Market) -> None:
        self.known = list(markets)

    def markets(self) -> list[Market]:
        self._check_available()
        return sorted(self.known, key=lambda market: market.symbol)
