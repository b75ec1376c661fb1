"""The configured markets, in memory."""

from paceline.messages.inbound import ConfigureMarket


class FakeMarketConfigurations:
    """`configurations` are `(shard, message)` in the order of arrival."""

    def __init__(self, *configurations: tuple[int, ConfigureMarket]) -> None:
        self.configurations = list(configurations)

    async def configured(self) -> dict[int, dict[str, ConfigureMarket]]:
        found: dict[int, dict[str, ConfigureMarket]] = {}
        for shard, market in self.configurations:
            found.setdefault(shard, {})[market.symbol] = market
        return found
