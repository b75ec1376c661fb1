"""Where messages are written so that the engine sees them."""

from collections.abc import Sequence
from typing import Protocol

from paceline.messages.inbound import Inbound


class EventLog(Protocol):
    async def append(self, shard: int, messages: Sequence[Inbound]) -> int:
        """Write messages to a shard's log as one record; returns its offset once it is safe there."""
        ...
