"""Markets and their prices."""

from typing import Protocol

from msgspec import Struct

from paceline.messages.inbound import ConfigureMarket


class Market(Struct, frozen=True, kw_only=True):
    """A market, as configured on the log."""

    symbol: str
    base: str
    quantity_step: str
    min_notional: str
    max_leverage: int
    maker_rate_bps: int
    taker_rate_bps: int
    maintenance_rate_bps: int
    halted: bool = False


class Markets(Protocol):
    """`TransientError` when the store cannot be reached."""

    def markets(self) -> list[Market]:
        """All configured markets, by symbol."""
        ...


class MarketConfigurations(Protocol):
    async def configured(self) -> dict[int, dict[str, ConfigureMarket]]:
        """The newest configuration by shard and symbol. Shards without markets may be absent."""
        ...


class Price(Struct, frozen=True):
    """Last price of a symbol, scaled by 10⁸; `time_us` is when our feed received it."""

    bid: int
    ask: int
    time_us: int


class Prices(Protocol):
    """`None` while a symbol has no price; `TransientError` if the store is unavailable."""

    def last(self, symbol: str) -> Price | None: ...
