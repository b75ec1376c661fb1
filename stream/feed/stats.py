"""The feed's counters, and the report for its heartbeat."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from paceline.core.times import SECOND_US

LOG_PATIENCE_US: Final = 2 * SECOND_US


@dataclass
class FeedStats:
    """Counts since the process started. Times are wall-clock microseconds, 0 for never."""

    connected: bool = False
    log_open: bool = False
    sent_us: int = 0
    acknowledged_us: int = 0
    frames: int = 0
    prices_sent: int = 0
    prices_lost: int = 0
    bad_frames: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    silences: int = 0
    last_price_us: int = 0
    last_usable_us: int = 0

    @property
    def reconnects(self) -> int:
        return max(self.connections - 1, 0)

    def log_answers(self, now_us: int) -> bool:
        """Whether the log takes prices: it is open, and the last batch is acknowledged or recent."""
        answered = self.acknowledged_us >= self.sent_us or now_us - self.sent_us < LOG_PATIENCE_US
        return self.log_open and answered

    def trouble(self, now_us: int, silence_us: int) -> str:
        """The problem in words; empty if there is none."""
        if not self.connected:
            return "the exchange cannot be reached"
        if not self.log_answers(now_us):
            return "the log (Kafka) cannot be written"
        if now_us - self.last_price_us > silence_us:
            return "no price comes from the exchange"
        if now_us - self.last_usable_us > silence_us:
            return "prices come, but the engine accepts none of them (old update ids, crossed books)"
        return ""

    def report(
        self, *, silence_us: int, waiting: int, dropped: int, dead_letters_dropped: int
    ) -> dict[str, Any]:
        """The heartbeat's details: `waiting` and `dropped` are prices in and out of the buffer."""
        now_us = time.time_ns() // 1000
        trouble = self.trouble(now_us, silence_us)
        return {
            "state": "degraded" if trouble else "running",
            "reason": trouble or None,
            "connected": self.connected,
            "log_answers": self.log_answers(now_us),
            "last_price_us": self.last_price_us,
            "frames": self.frames,
            "prices_sent": self.prices_sent,
            "prices_waiting": waiting,
            "prices_dropped": dropped,
            "prices_lost": self.prices_lost,
            "bad_frames": self.bad_frames.total(),
            "bad_frames_by_reason": dict(self.bad_frames),
            "reconnects": self.reconnects,
            "silences": self.silences,
            "dead_letters_dropped": dead_letters_dropped,
        }
