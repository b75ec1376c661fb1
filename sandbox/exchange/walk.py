"""A seeded random walk for a few markets, with trends of a minute or two.

The trends let skill matter in the demo: a trader who follows them earns, a trader who guesses pays fees. A
weak pull towards the starting price keeps prices in a plausible range.
"""

import math
import random
from typing import Final, NamedTuple

from sandbox.exchange.protocol import Quote

_VOLATILITY_BPS: Final = 2.5  # standard deviation of the noise per second
_TREND_BPS: Final = 0.6  # standard deviation of a trend's drift per second
_TREND_S: Final = 90.0  # mean duration of a trend
_PULL_S: Final = 1800.0  # time constant of the pull to the starting price
_BPS: Final = 1e-4
_NOISE_SCALE: Final = _VOLATILITY_BPS * _BPS * math.sqrt(6)  # the difference of two draws has deviation 1/√6
_SPREADS: Final = (1, 1, 2, 3)  # in ticks
_MIN_QUANTITY_USD: Final = 1_000.0  # value of the smallest quantity
_QUANTITY_RANGE_USD: Final = 49_000.0  # value of the largest quantity, less that of the smallest


class WalkMarket(NamedTuple):
    """`price_digits` and `quantity_digits` are decimals: a tick is 10⁻ᵖʳⁱᶜᵉ⁻ᵈⁱᵍⁱᵗˢ."""

    symbol: str
    start_price: float
    price_digits: int
    quantity_digits: int


MARKETS: Final = (
    WalkMarket("BTC_USDC_PERP", 68_983.0, 1, 5),
    WalkMarket("ETH_USDC_PERP", 4_303.9, 2, 4),
    WalkMarket("SOL_USDC_PERP", 218.6, 2, 2),
    WalkMarket("ADA_USDC_PERP", 0.8123, 4, 0),
)


class Walk:
    """The walk of one market. The same seed and steps give the same quotes."""

    def __init__(self, market: WalkMarket, seed: int, price: float | None = None) -> None:
        self.market = market
        self._random = random.Random(f"{seed}:{market.symbol}")
        self._draw = self._random.random
        self._price_form = f"%.{market.price_digits}f"
        self._quantity_form = f"%.{market.quantity_digits}f"
        self._ticks = 10.0**market.price_digits  # in a price of 1
        self._lots = 10.0**market.quantity_digits  # in a quantity of 1
        self._start_level = math.log(market.start_price)
        self._level = math.log(price) if price else self._start_level
        self._drift = 0.0
        self._trend_left_s = 0.0

    @property
    def price(self) -> float:
        return math.exp(self._level)

    def step(self, elapsed_s: float) -> Quote:
        """The quote `elapsed_s` seconds later. The spread is one to three ticks, so bid < ask.

        The noise has a triangular distribution, because it is drawn thousands of times a second and this is
        cheaper than a normal one. The sum of a few steps is close to normal.
        """
        draw = self._draw
        self._trend_left_s -= elapsed_s
        if self._trend_left_s <= 0:
            self._drift = self._random.gauss(0, _TREND_BPS) * _BPS
            self._trend_left_s = self._random.expovariate(1 / _TREND_S)
        pull = (self._start_level - self._level) / _PULL_S
        noise = (draw() - draw()) * _NOISE_SCALE * math.sqrt(elapsed_s)
        self._level += (self._drift + pull) * elapsed_s + noise
        price = math.exp(self._level)
        bid_ticks = int(price * self._ticks + 0.5) or 1
        ask_ticks = bid_ticks + _SPREADS[int(draw() * 4)]
        lots_per_usd = self._lots / price
        bid_lots = int((_MIN_QUANTITY_USD + _QUANTITY_RANGE_USD * draw()) * lots_per_usd) or 1
        ask_lots = int((_MIN_QUANTITY_USD + _QUANTITY_RANGE_USD * draw()) * lots_per_usd) or 1
        return Quote(
            self.market.symbol,
            self._price_form % (bid_ticks / self._ticks),
            self._quantity_form % (bid_lots / self._lots),
            self._price_form % (ask_ticks / self._ticks),
            self._quantity_form % (ask_lots / self._lots),
        )
