"""What requests read of the router's data in Redis: balances, open trades, resting orders.

Every call raises `TransientError` while Redis cannot be reached; the caller has another source.
"""

import msgspec

from paceline.adapters.redis import keys
from paceline.adapters.redis.client import SyncRedis
from paceline.core.ids import shard_of
from paceline.ports.trading import Balance, OpenTrade, RestingOrder

_trade = msgspec.json.Decoder(OpenTrade)
_order = msgspec.json.Decoder(RestingOrder)


class _StoredBalance(Balance, frozen=True, kw_only=True):
    """As the router stores it; `position` is that of the message that caused it."""

    position: int


_balance = msgspec.json.Decoder(_StoredBalance)


class RedisAccountState:
    """Reads the router's state. Without its `router:ready` marker the state may be incomplete.

    A single balance is always complete: one from after the rebuilt state is the newest even without the
    marker, so a client that was answered meanwhile reads its own writes.
    """

    def __init__(self, client: SyncRedis, shards: int) -> None:
        self._client = client
        self._shards = shards

    def balance(self, account: str) -> Balance | None:
        state_from_key = keys.router_state_from(shard_of(account, self._shards))
        ready, state_from, text = self._client.ask("MGET", keys.READY, state_from_key, keys.balance(account))
        if text is None:
            return None
        kept = _balance.decode(text)
        if ready is None and (state_from is None or kept.position < int(state_from)):
            return None
        return Balance(**{name: getattr(kept, name) for name in Balance.__struct_fields__})

    def open_trades(self, account: str) -> list[OpenTrade] | None:
        texts = self._hash_values(keys.trades(account))
        return None if texts is None else [_trade.decode(text) for text in texts]

    def resting_orders(self, account: str) -> list[RestingOrder] | None:
        texts = self._hash_values(keys.orders(account))
        return None if texts is None else [_order.decode(text) for text in texts]

    def _hash_values(self, key: str) -> list[bytes] | None:
        ready, texts = self._client.ask_together(("GET", keys.READY), ("HVALS", key))
        return None if ready is None else texts
