"""Misbehaviour on demand: what an exchange does on a bad day, in doses.

`garbage`, `duplicates`, `old_ids` and `string_ids` spoil the next `count` frames; `stall` sends nothing
for `seconds`; `disconnect` cuts every client off, now and after its next subscription, `count` times in all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count as counting
from typing import Final

from sandbox.exchange.protocol import Quote, frame

KINDS: Final = ("disconnect", "stall", "garbage", "duplicates", "old_ids", "string_ids")
MAX_COUNT: Final = 1_000_000
MAX_SECONDS: Final = 3_600.0
_OLD_BY: Final = 1_000_000_000

GARBAGE: Final[tuple[str | bytes, ...]] = (
    "not json at all",
    "",
    "null",
    "[1,2,3]",
    b"\x00\xff\xfe binary",
    '{"data":',
    '{"stream":"bookTicker.BTC_USDC_PERP"}',
    '{"data":{"A":1,"B":2,"E":3,"T":4,"a":5,"b":6,"e":"bookTicker","s":"BTC_USDC_PERP","u":7},'
    '"stream":"bookTicker.BTC_USDC_PERP"}',
    '{"data":{"A":"1","B":"1","E":1,"T":1,"a":"NaN","b":"-1","e":"bookTicker","s":"BTC_USDC_PERP","u":1},'
    '"stream":"bookTicker.BTC_USDC_PERP"}',
    '{"data":{"A":"1","B":"1","E":1,"T":1,"a":"2","b":"1","e":"bookTicker","s":"DOGE_USDC_PERP","u":1},'
    '"stream":"bookTicker.DOGE_USDC_PERP"}',
    '{"id":null,"error":{"code":4006,"message":"Invalid stream"}}',
    "{" * 2_000,
)


@dataclass(frozen=True)
class Order:
    """One request to misbehave; `count` and `seconds` as the kind needs them."""

    what: str
    count: int = 1
    seconds: float = 1.0


def parse_order(fields: Mapping[str, str]) -> Order:
    """The order in `what`, `count` and `seconds`; `ValueError` says what is wrong with it."""
    unknown = set(fields) - {"what", "count", "seconds"}
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r}: there are what, count and seconds")
    what = fields.get("what", "")
    if what not in KINDS:
        raise ValueError(f"what: must be one of {', '.join(KINDS)}, not {what[:40]!r}")
    try:
        count = int(fields.get("count", "1"))
        seconds = float(fields.get("seconds", "1"))
    except ValueError:
        raise ValueError("count: must be an integer; seconds: must be a number") from None
    if not 1 <= count <= MAX_COUNT:
        raise ValueError(f"count: must lie between 1 and {MAX_COUNT}")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds: must be above 0 and at most {MAX_SECONDS:.0f}")
    return Order(what, count, seconds)


@dataclass
class Mischief:
    """What is still to be spoilt: `left` holds no zeros, so that an exchange that behaves sees at one look
    that it may."""

    left: dict[str, int] = field(default_factory=dict)
    stalled_until_s: float = 0.0
    _garbage: Iterator[int] = field(default_factory=counting)

    def add(self, order: Order, now_s: float) -> None:
        """Take an order; `now_s` is the monotonic time from which a stall counts."""
        if order.what == "stall":
            self.stalled_until_s = max(self.stalled_until_s, now_s + order.seconds)
        else:
            self.left[order.what] = min(self.left.get(order.what, 0) + order.count, MAX_COUNT)

    def stalls(self, now_s: float) -> bool:
        return now_s < self.stalled_until_s

    def takes(self, what: str) -> bool:
        """Whether one more of this kind is due; counts it."""
        left = self.left.pop(what, 0)
        if left > 1:
            self.left[what] = left - 1
        return left > 0

    def frames(self, quote: Quote, update_id: int, now_us: int) -> list[str | bytes]:
        """What goes out for a quote: normally its frame."""
        if not self.left:
            return [frame(quote, update_id, now_us)]
        good = frame(quote, update_id, now_us, string_id=self.takes("string_ids"))
        out: list[str | bytes] = [good]
        if self.takes("duplicates"):
            out.append(good)
        if self.takes("old_ids"):
            out.append(frame(quote, update_id - _OLD_BY, now_us))
        if self.takes("garbage"):
            out.append(GARBAGE[next(self._garbage) % len(GARBAGE)])
        return out
