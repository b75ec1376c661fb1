"""Last prices: the feed writes them every 100 ms, requests read them.

Every call raises `TransientError` while Redis cannot be reached; the caller has another source.
"""

from typing import Final

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import CommandWords, SyncRedis
from paceline.adapters.runtime.cache import RefreshAheadCache
from paceline.core.money import format_decimal, parse_decimal
from paceline.messages.inbound import PriceUpdate
from paceline.ports.market import Price

_PRICE_KEPT_S: Final = 0.1
_PRICE_FRESH_S: Final = 0.06


def price_command(update: PriceUpdate) -> CommandWords:
    """The command that stores a price as the last one of its symbol."""
    bid, ask = format_decimal(update.bid), format_decimal(update.ask)
    fields = ("bid", bid, "ask", ask, "time_us", update.time, "update_id", update.update_id)
    return ("HSET", keys.price(update.symbol), *fields)


class RedisPrices:
    """Prices from Redis, at most 100 ms old; the feed writes them there every 100 ms."""

    def __init__(self, client: SyncRedis) -> None:
        self._client = client
        self._prices = RefreshAheadCache(
            self._read,
            lambda price: price is not None,
            soft_ttl_s=_PRICE_FRESH_S,
            hard_ttl_s=_PRICE_KEPT_S,
        )

    def last(self, symbol: str) -> Price | None:
        return self._prices.get(symbol)

    def _read(self, symbol: str) -> Price | None:
        bid, ask, time_us = self._client.ask("HMGET", keys.price(symbol), "bid", "ask", "time_us")
        if bid is None or ask is None or time_us is None:
            return None
        return Price(parse_decimal(bid.decode()), parse_decimal(ask.decode()), int(time_us))
