"""Fault injection: the faults that a real exchange can have, on request.

`garbage`, `duplicates`, `old_ids` and `string_ids` affect the next `count` frames. `stall` sends nothing for
`seconds`. `disconnect` drops all clients now, then a client after a subscription, `count` times in all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count as count_up
from typing import Final

from sandbox.exchange.protocol import Quote, frame

KINDS: Final = ("disconnect", "stall", "garbage", "duplicates", "old_ids", "string_ids")
MAX_COUNT: Final = 1_000_000
MAX_SECONDS: Final = 3_600.0
_OLD_ID_OFFSET: Final = 1_000_000_000

GARBAGE_FRAMES: Final[tuple[str | bytes, ...]] = (
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
class FaultRequest:
    """A request to inject a fault. `stall` uses `seconds`, the other kinds use `count`."""

    what: str
    count: int = 1
    seconds: float = 1.0


def parse_fault_request(fields: Mapping[str, str]) -> FaultRequest:
    """The request from the fields `what`, `count` and `seconds`. `ValueError` if one is invalid."""
    unknown = set(fields) - {"what", "count", "seconds"}
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r}: must be one of what, count, seconds")
    what = fields.get("what", "")
    if what not in KINDS:
        raise ValueError(f"what: must be one of {', '.join(KINDS)}, not {what[:40]!r}")
    try:
        count = int(fields.get("count", "1"))
        seconds = float(fields.get("seconds", "1"))
    except ValueError:
        raise ValueError("count: must be an integer; seconds: must be a number") from None
    if not 1 <= count <= MAX_COUNT:
        raise ValueError(f"count: must be between 1 and {MAX_COUNT}")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"seconds: must be above 0 and at most {MAX_SECONDS:.0f}")
    return FaultRequest(what, count, seconds)


@dataclass
class Faults:
    """Faults that are still due. `remaining` holds no zeros, so that it is empty (a fast check) when no fault
    is due."""

    remaining: dict[str, int] = field(default_factory=dict)
    stalled_until_s: float = 0.0
    _garbage: Iterator[int] = field(default_factory=count_up)

    def add(self, request: FaultRequest, now_s: float) -> None:
        """Add a request. `now_s` is monotonic time, the start of a stall."""
        if request.what == "stall":
            self.stalled_until_s = max(self.stalled_until_s, now_s + request.seconds)
        else:
            self.remaining[request.what] = min(self.remaining.get(request.what, 0) + request.count, MAX_COUNT)

    def is_stalled(self, now_s: float) -> bool:
        return now_s < self.stalled_until_s

    def consume(self, what: str) -> bool:
        """Whether a fault of this kind is due. Counts it as done."""
        due = self.remaining.pop(what, 0)
        if due > 1:
            self.remaining[what] = due - 1
        return due > 0

    def frames(self, quote: Quote, update_id: int, now_us: int) -> list[str | bytes]:
        """The messages to send for a quote: without faults, one."""
        if not self.remaining:
            return [frame(quote, update_id, now_us)]
        good = frame(quote, update_id, now_us, string_id=self.consume("string_ids"))
        messages: list[str | bytes] = [good]
        if self.consume("duplicates"):
            messages.append(good)
        if self.consume("old_ids"):
            messages.append(frame(quote, update_id - _OLD_ID_OFFSET, now_us))
        if self.consume("garbage"):
            messages.append(GARBAGE_FRAMES[next(self._garbage) % len(GARBAGE_FRAMES)])
        return messages
