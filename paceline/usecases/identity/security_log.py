"""Security events: to the log of the process at once, and to a store in the background."""

import threading
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from uuid import uuid4

import structlog

from paceline.ports.identity import SecurityEvent, SecurityEventName

# Failures that a client can cause as often as it likes: so many of one actor and address a minute are
# recorded, the others are counted.
_REPEATABLE: Final = ("sign_in_failed", "csrf_failed")
_RECORDED_PER_MINUTE: Final = 20
_MAX_SOURCES: Final = 10_000
_MINUTE_US: Final = 60_000_000

_log = structlog.get_logger("security")


class SecurityLog:
    """`put` hands an event to the store and returns at once; False if the event cannot be accepted."""

    def __init__(self, put: Callable[[SecurityEvent], bool], now_us: Callable[[], int]) -> None:
        self._put = put
        self._now_us = now_us
        self._minute = 0
        self._repeats: Counter[tuple[str, ...]] = Counter()
        self._suppressed = 0
        self._lock = threading.Lock()

    def record(
        self,
        event: SecurityEventName,
        *,
        actor: str,
        account: str | None = None,
        email: str | None = None,
        address: str | None = None,
        request_id: str | None = None,
        **details: str,
    ) -> None:
        """Record an event that happens now. It does not wait for the store and does not raise."""
        now_us = self._now_us()
        if event in _REPEATABLE and not self._is_recorded((event, actor, address or ""), now_us):
            return
        recorded = SecurityEvent(
            id=uuid4(),
            at_us=now_us,
            event=event,
            actor=actor,
            account=account,
            email_hash=None if email is None else sha256(email.lower().encode()).hexdigest(),
            address=address,
            request_id=request_id,
            details=details,
        )
        _log.info(
            "security_event",
            what=event,
            actor=actor,
            account=account,
            email_hash=recorded.email_hash,
            address=address,
            **details,
        )
        if not self._put(recorded):
            _log.error("security_event_not_stored", id=str(recorded.id))

    def _is_recorded(self, source: tuple[str, ...], now_us: int) -> bool:
        """Count an event of a source; False if the source has used up its minute."""
        with self._lock:
            if now_us // _MINUTE_US != self._minute:
                if self._suppressed:
                    _log.warning("security_events_suppressed", events=self._suppressed)
                self._minute, self._suppressed = now_us // _MINUTE_US, 0
                self._repeats.clear()
            known = source in self._repeats
            if self._repeats[source] >= _RECORDED_PER_MINUTE or (
                not known and len(self._repeats) >= _MAX_SOURCES
            ):
                self._suppressed += 1
                return False
            self._repeats[source] += 1
            return True
