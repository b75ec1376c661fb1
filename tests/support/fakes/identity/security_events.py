"""Security events, in memory."""

from collections.abc import Sequence
from uuid import UUID

from paceline.ports.identity import SecurityEvent
from tests.support.fakes.store import FakeStore


class FakeSecurityEvents(FakeStore):
    def __init__(self) -> None:
        self.by_id: dict[UUID, SecurityEvent] = {}

    def add(self, events: Sequence[SecurityEvent]) -> None:
        self._check_available()
        for event in events:
            self.by_id.setdefault(event.id, event)
