"""A seeded random walk of a few markets, with trends that last a minute or two.

The trends are what makes skill possible in the demo: somebody who follows them earns, somebody who
guesses pays fees. A weak pull towards the starting price keeps the walk in a plausible range.
"""

import math
import random
from typing import Final, NamedTuple

from sandbox.exchange.protocol import Quote

_VOLATILITY_BPS: Final = 2.5  # standard deviation of a second's noise
_TREND_BPS: Final = 0.6  # standard deviation of a trend's drift a second
_TREND_S: Final = 90.0  # mean duration of a trend
_PULL_S: Final = 1800.0  # time constant of the way back to the starting price
_BPS: Final = 1e-4


class Market(NamedTuple):
    """`price_digits` and `quantity_digits` are decimals: a tick is 10⁻ᵖʳⁱᶜᵉ⁻ᵈⁱᵍⁱᵗˢ."""

    symbol: str
    start_price: float
    price_digits: int
    quantity_digits: int


MARKETS: Final = (
    Market("BTC_USDC_PERP", 68_983.0, 1, 5),
    Market("ETH_USDC_PERP", 4_303.9, 2, 4),
    Market("SOL_USDC_PERP", 218.6, 2, 2),
    Market("ADA_USDC_PERP", 0.8123, 4, 0),
)


class Walk:
    """The walk of one market. Same seed and same steps: same quotes."""

    def __init__(self, market: Market, seed: int, price: float | None = None) -> None:
        self.market = market
        self._random = random.Random(f"{seed}:{market.symbol}")
        self._anchor = math.log(market.start_price)
        self._level = math.log(price) if price else self._anchor
        self._drift = 0.0
        self._trend_left_s = 0.0

    @property
    def price(self) -> float:
        return math.exp(self._level)

    def step(self, elapsed_s: float) -> Quote:
        """The quote after `elapsed_s` more seconds; the spread is one to three ticks, never crossed."""
        draw = self._random
        self._trend_left_s -= elapsed_s
        if self._trend_left_s <= 0:
            self._drift = draw.gauss(0, _TREND_BPS) * _BPS
            self._trend_left_s = draw.expovariate(1 / _TREND_S)
        pull = (self._anchor - self._level) / _PULL_S
        noise = draw.gauss(0, _VOLATILITY_BPS * _BPS) * math.sqrt(elapsed_s)
        self._level += (self._drift + pull) * elapsed_s + noise
        digits, price = self.market.price_digits, self.price
        bid_ticks = max(1, round(price * 10**digits))
        ask_ticks = bid_ticks + draw.choice((1, 1, 2, 3))
        return Quote(
            self.market.symbol,
            _decimal(bid_ticks, digits),
            self._quantity(price),
            _decimal(ask_ticks, digits),
            self._quantity(price),
        )

    def _quantity(self, price: float) -> str:
        """Worth about 1,000 to 50,000 USD, in the market's precision."""
        digits = self.market.quantity_digits
        worth_usd = self._random.uniform(1_000, 50_000)
        return _decimal(max(1, round(worth_usd / price * 10**digits)), digits)


def _decimal(ticks: int, digits: int) -> str:
    if digits == 0:
        return str(ticks)
    text = str(ticks).zfill(digits + 1)
    return f"{text[:-digits]}.{text[-digits:]}"
