"""The market data feed and the sandbox exchange."""

from dataclasses import dataclass

from paceline.settings.fields import between, names, plain_url, setting
from paceline.settings.local import LocalSettings


@dataclass(frozen=True, kw_only=True)
class FeedSettings(LocalSettings):
    feed_url: str = plain_url("ws", "wss", doc="WebSocket of the exchange; empty means the sandbox exchange")
    feed_symbols: tuple[str, ...] = setting(
        "BTC_USDC_PERP,ETH_USDC_PERP,SOL_USDC_PERP,ADA_USDC_PERP", names, "Symbols to subscribe to"
    )
    feed_silence_ms: int = setting(
        "5000",
        between(100, 600_000),
        "Milliseconds without data from the exchange, before the feed reconnects",
    )
    exchange_rate_hz: int = setting(
        "20", between(1, 20_000), "Sandbox exchange: price updates per second, all symbols together"
    )
    exchange_seed: int = setting("7", between(0, 2**31), "Sandbox exchange: seed of the random walk")

    @property
    def exchange_url(self) -> str:
        return self.feed_url or f"ws://127.0.0.1:{self.exchange_port}"
