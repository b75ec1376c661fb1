"""What requests read of Redis: last prices, and what the router keeps of accounts.

Every call raises `TransientError` while Redis is away; the caller has somewhere else to look.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import redis

from paceline.adapters.awaiting import wait_for
from paceline.adapters.kept import Kept
from paceline.adapters.redis.connect import AWAY, Words, connect
from paceline.adapters.redis.heartbeats import heartbeats
from paceline.core.errors import TransientError
from paceline.core.ids import shard_of
from paceline.core.money import parse_decimal
from paceline.ports.account_state import Balance, OpenTrade, RestingOrder
from paceline.ports.instructions import Price

_PRICE_KEPT_S: Final = 0.1
_PRICE_FRESH_S: Final = 0.06
_trade = msgspec.json.Decoder(OpenTrade)
_order = msgspec.json.Decoder(RestingOrder)


class HotClient:
    """A client for those who wait for its answers."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        self._client = connect(url, timeout_s=timeout_ms / 1000)

    def ask(self, *words: str | bytes | int) -> Any:
        """The answer to one command."""
        return wait_for(self._ask(words))[0]

    def ask_together(self, *commands: Words) -> list[Any]:
        """The answers to commands between which nobody else's come."""
        answers: list[Any] = wait_for(self._ask(("MULTI",), *commands, ("EXEC",)))[-1]
        return answers

    def published(self, channel: str) -> AsyncIterator[bytes | None]:
        """As `Client.published`, for whoever is on the event loop."""
        return self._client.published(channel)

    def close(self) -> None:
        wait_for(self._client.aclose())

    async def _ask(self, *commands: Words) -> list[Any]:
        with _away():
            try:
                return await self._client.ask(*commands)
            except redis.ConnectionError:  # it may have been a dead one, and connects again
                return await self._client.ask(*commands)


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except AWAY as error:
        raise TransientError("Redis cannot be reached.") from error


class RedisPrices:
    """Prices as Redis had them at most 100 ms ago; the feed writes them there every 100 ms."""

    def __init__(self, client: HotClient) -> None:
        self._client = client
        self._prices = Kept(
            self._read,
            lambda price: price is not None,
            fresh_s=_PRICE_FRESH_S,
            longest_s=_PRICE_KEPT_S,
        )

    def last(self, symbol: str) -> Price | None:
        return self._prices.get(symbol)

    def _read(self, symbol: str) -> Price | None:
        bid, ask, time_us = self._client.ask("HMGET", f"price:{symbol}", "bid", "ask", "time_us")
        if bid is None or ask is None or time_us is None:
            return None
        return Price(parse_decimal(bid.decode()), parse_decimal(ask.decode()), int(time_us))


class _KeptBalance(Balance, frozen=True, kw_only=True):
    """As the router keeps it: `position` is that of the message it came of."""

    position: int


_balance = msgspec.json.Decoder(_KeptBalance)


class RedisAccountState:
    """Reads what the router keeps. Without its `router:ready` marker nothing here is known to be whole.

    A balance is whole in itself: one that came after the rebuilt state is the newest, marker or not, so
    whoever was answered meanwhile reads their own writes.
    """

    def __init__(self, client: HotClient, shards: int) -> None:
        self._client = client
        self._shards = shards

    def balance(self, account: str) -> Balance | None:
        state_from_key = f"router:state_from:{shard_of(account, self._shards)}"
        ready, state_from, text = self._client.ask(
            "MGET", "router:ready", state_from_key, f"balance:{account}"
        )
        if text is None:
            return None
        kept = _balance.decode(text)
        if ready is None and (state_from is None or kept.position < int(state_from)):
            return None
        return Balance(**{name: getattr(kept, name) for name in Balance.__struct_fields__})

    def open_trades(self, account: str) -> list[OpenTrade] | None:
        texts = self._kept(f"trades:{account}")
        return None if texts is None else [_trade.decode(text) for text in texts]

    def resting_orders(self, account: str) -> list[RestingOrder] | None:
        texts = self._kept(f"orders:{account}")
        return None if texts is None else [_order.decode(text) for text in texts]

    def _kept(self, key: str) -> list[bytes] | None:
        ready, texts = self._client.ask_together(("GET", "router:ready"), ("HVALS", key))
        return None if ready is None else texts


def ping(client: HotClient) -> None:
    """`TransientError` when Redis cannot be reached."""
    client.ask("PING")


def all_heartbeats(client: HotClient) -> dict[str, list[dict[str, Any]]]:
    """By service the heartbeats of its instances; `TransientError` when Redis cannot be reached."""
    return heartbeats(client.ask)
