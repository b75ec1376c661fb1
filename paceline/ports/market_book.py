"""What is known of the markets that are configured on the log."""

from typing import Protocol

from paceline.messages.inbound import ConfigureMarket


class MarketBook(Protocol):
    async def configured(self) -> dict[int, dict[str, ConfigureMarket]]:
        """The newest configuration by shard and symbol; shards without any may be absent."""
        ...
