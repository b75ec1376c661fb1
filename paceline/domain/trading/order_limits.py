"""How many orders an account may send: token buckets. Pure: the caller gives the time, in microseconds.

Each order takes a token out of every bucket of its account. A bucket fills again at a constant rate. It is
one integer, the time at which it is full again (the generic cell rate algorithm), so nothing runs for an idle
account.
"""

from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from paceline.core.times import SECOND_US


class OrderRate(Struct, frozen=True):
    """`quota` orders per `window_s` seconds, and at most `burst` at once."""

    name: str
    quota: int
    window_s: int
    burst: int

    @property
    def refill_us(self) -> int:
        """Time in which a bucket gets one token. At least 1 µs."""
        return max(1, self.window_s * SECOND_US // self.quota)


class RateUse(Struct, frozen=True):
    """A rate after an order: how much of its quota is left, and when the whole quota is available again."""

    rate: OrderRate
    remaining: int
    reset_us: int


class Spending(Struct, frozen=True):
    """Whether an order may be sent. If not, `exceeded` is the rate that forbids it for another `wait_us`.

    `uses` has the rates in their order.
    """

    uses: tuple[RateUse, ...]
    exceeded: OrderRate | None = None
    wait_us: int = 0


class OrderLimits:
    """The buckets of at most `max_accounts` accounts.

    Beyond that the account that has been idle for the longest time loses its buckets. It gets full ones.
    """

    def __init__(self, rates: Sequence[OrderRate], max_accounts: int) -> None:
        self._rates = tuple(rates)
        self._max_accounts = max_accounts
        # Per account and rate: the time at which the bucket is full. The account that was used last is last.
        self._full_at: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, account: str, now_us: int) -> Spending:
        """Take a token out of each bucket of the account, or none if one of them is empty.

        `now_us` is of a clock that does not go back.
        """
        before = [max(now_us, at) for at in self._full_at.get(account, (now_us,) * len(self._rates))]
        after = [at + rate.refill_us for at, rate in zip(before, self._rates, strict=True)]
        waits = [
            at - now_us - rate.burst * rate.refill_us for at, rate in zip(after, self._rates, strict=True)
        ]
        wait_us = max(0, *waits)
        if wait_us:
            exceeded = self._rates[waits.index(wait_us)]
            return Spending(self._uses(before, now_us), exceeded, wait_us)
        self._full_at[account] = tuple(after)
        self._full_at.move_to_end(account)
        if len(self._full_at) > self._max_accounts:
            self._full_at.popitem(last=False)
        return Spending(self._uses(after, now_us))

    def _uses(self, full_at: Sequence[int], now_us: int) -> tuple[RateUse, ...]:
        return tuple(_use(rate, at - now_us) for rate, at in zip(self._rates, full_at, strict=True))


def _use(rate: OrderRate, full_in_us: int) -> RateUse:
    """`remaining` is at most the quota: what the burst adds to it is no promise."""
    quota = min(rate.quota, rate.burst)
    missing = -(-full_in_us // rate.refill_us)  # rounded up: a token counts once it is whole
    reset_us = max(0, full_in_us - (rate.burst - quota) * rate.refill_us)
    return RateUse(rate, min(quota, rate.burst - missing), reset_us)
