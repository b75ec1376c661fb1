"""The REST API and its trading routes."""

from dataclasses import dataclass

from paceline.settings.fields import amount, between, flag, networks, plain_url, setting
from paceline.settings.local import LocalSettings


@dataclass(frozen=True, kw_only=True)
class ApiSettings(LocalSettings):
    public_url: str = plain_url(
        "http", "https", doc="URL of the API for people; empty means loopback. Required off loopback"
    )
    allow_insecure_public_url: bool = setting(
        "false", flag, "Accept an http:// public URL off this machine: sessions then travel without TLS"
    )
    trusted_proxies: tuple[str, ...] = setting(
        "", networks, "Addresses and networks of reverse proxies whose X-Forwarded headers are believed"
    )
    reply_timeout_ms: int = setting(
        "2000", between(10, 60_000), "Milliseconds that a request waits for the engine before it answers 202"
    )
    initial_balance_usd: int = setting("5000", amount, "Balance of a new account, in USD")
    default_slippage_bps: int = setting(
        "50", between(0, 10_000), "Slippage bound of a market order that names none, in basis points"
    )
    api_requests: int = setting(
        "128",
        between(1, 512),
        "Requests that the API handles at once, a quarter of them of one member; further requests get 503",
    )
    orders_per_second: int = setting(
        "20", between(1, 10_000), "Orders per second that an account may send; further orders get 429"
    )
    orders_burst: int = setting("40", between(1, 100_000), "Orders that an account may send at once")
    orders_per_day: int = setting(
        "50000", between(1, 100_000_000), "Orders that an account may send in a day; further orders get 429"
    )

    @property
    def api_url(self) -> str:
        return self.public_url or f"http://127.0.0.1:{self.api_port}"
