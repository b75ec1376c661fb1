"""The names of all keys and channels in Redis. No other module spells one out.

| key | type | holds |
|---|---|---|
| `price:{symbol}` | hash | last usable price: `bid`, `ask`, `time_us`, `update_id` |
| `balance:{account}` | string | newest balance as JSON, with its position and ordinal |
| `trades:{account}`, `orders:{account}` | hash | open trades and resting orders by id, as JSON |
| `events:{account}` | stream | outputs that concern the account: the newest 1,000 or so, 24 h |
| `pending:{account}:{instruction}` | string | an instruction without an answer yet, 24 h |
| `router:…` | | how far the router has come |
| `health:{service}:{instance}` | string | heartbeat, 10 s |
"""

from typing import Final

REPLIES: Final = "replies"
"""The channel of all answers. Redis keeps none: a client that does not listen misses what is published."""

READY: Final = "router:ready"
READY_SHARDS: Final = "router:ready_shards"
HEALTH_PATTERN: Final = "health:*"


def price(symbol: str) -> str:
    return f"price:{symbol}"


def balance(account: str) -> str:
    return f"balance:{account}"


def trades(account: str) -> str:
    return f"trades:{account}"


def orders(account: str) -> str:
    return f"orders:{account}"


def events(account: str) -> str:
    return f"events:{account}"


def pending(account: str, instruction: str) -> str:
    return f"pending:{account}:{instruction}"


def router_position(shard: int) -> str:
    """Position and offset up to which the shard's data is in Redis, as `position:offset`."""
    return f"router:position:{shard}"


def router_state_from(shard: int) -> str:
    """Position from which on the shard's state follows effects; what lies before was rebuilt."""
    return f"router:state_from:{shard}"


def router_rebuilding(shard: int) -> str:
    return f"router:rebuilding:{shard}"


def router_marks(shard: int) -> str:
    """Sorted set of positions by the log time at which they were reached."""
    return f"router:marks:{shard}"


def health(service: str, instance: str) -> str:
    return f"health:{service}:{instance}"


def service_of_health(key: bytes) -> str:
    """The service that a heartbeat's key names."""
    return key.decode().split(":")[1]
