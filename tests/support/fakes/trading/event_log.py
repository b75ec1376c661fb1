"""An append-only log, in memory."""

from collections import defaultdict
from collections.abc import Sequence

from paceline.messages.inbound import Inbound


class FakeEventLog:
    """`records` by shard. The index of a record in its list is its offset."""

    def __init__(self) -> None:
        self.records: dict[int, list[list[Inbound]]] = defaultdict(list)

    async def append(self, shard: int, messages: Sequence[Inbound]) -> int:
        self.records[shard].append(list(messages))
        return len(self.records[shard]) - 1
