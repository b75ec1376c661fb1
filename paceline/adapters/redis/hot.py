"""What request threads read of Redis: replies, last prices, and what the router keeps of accounts.

Every call raises `TransientError` while Redis is away; the caller has somewhere else to look.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from paceline.adapters.redis.heartbeats import heartbeats
from paceline.core.errors import TransientError
from paceline.core.ids import shard_of
from paceline.core.money import parse_decimal
from paceline.ports.account_state import Balance, OpenTrade, RestingOrder
from paceline.ports.instructions import Answer, Price

PENDING_S: Final = 24 * 3600
_trade = msgspec.json.Decoder(OpenTrade)
_order = msgspec.json.Decoder(RestingOrder)
_answer = msgspec.json.Decoder(Answer)


class HotClient(redis.Redis):
    """A client whose `ask` is the short way to a command: half the CPU time.

    It has connections of its own, as many as threads asked at once; the one used last is taken first.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self._idle: deque[Any] = deque()  # its ends need no lock

    def ask(self, *words: str | float) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            pool = self.connection_pool
            connection = pool.connection_class(**pool.connection_kwargs)
        with _away():
            try:
                answer = _asked(connection, words)
            except redis.ConnectionError:  # it may have been a dead one, and connects again
                answer = _asked(connection, words)
        self._idle.append(connection)
        return answer


def connect(url: str, connections: int, longest_wait_ms: int) -> HotClient:
    """A client for threads; `longest_wait_ms` is the longest that one blocking call waits."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=1,
        socket_connect_timeout=1,
        socket_timeout=longest_wait_ms / 1000 + 1,
        retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), 1),
        health_check_interval=0,
    )
    return HotClient(pool)


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, OSError) as error:
        raise TransientError("Redis cannot be reached.") from error


def _asked(connection: Any, words: tuple[str | float, ...]) -> Any:
    connection.send_command(*words)
    return connection.read_response()


class RedisReplies:
    def __init__(self, client: HotClient) -> None:
        self._client = client

    def wait(self, account: str, instruction: str, timeout_ms: int) -> Answer | None:
        found = self._client.ask("BLPOP", f"reply:{account}:{instruction}", timeout_ms / 1000)
        return None if found is None else _answer.decode(found[1])

    def remember_pending(self, account: str, instruction: str) -> None:
        with _away():
            self._client.set(f"pending:{account}:{instruction}", b"1", ex=PENDING_S)

    def is_pending(self, account: str, instruction: str) -> bool:
        with _away():
            return bool(self._client.exists(f"pending:{account}:{instruction}"))


class RedisPrices:
    def __init__(self, client: HotClient) -> None:
        self._client = client

    def last(self, symbol: str) -> Price | None:
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

    def __init__(self, client: redis.Redis, shards: int) -> None:
        self._client = client
        self._shards = shards

    def balance(self, account: str) -> Balance | None:
        state_from_key = f"router:state_from:{shard_of(account, self._shards)}"
        with _away():
            ready, state_from, text = self._client.mget(
                ["router:ready", state_from_key, f"balance:{account}"]
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
        with _away(), self._client.pipeline(transaction=True) as together:
            together.get("router:ready")
            together.hvals(key)
            ready, texts = together.execute()
        return None if ready is None else texts


def ping(client: redis.Redis) -> None:
    """`TransientError` when Redis cannot be reached."""
    with _away():
        client.ping()


def all_heartbeats(client: redis.Redis) -> dict[str, list[dict[str, Any]]]:
    """By service the heartbeats of its instances; `TransientError` when Redis cannot be reached."""
    with _away():
        return heartbeats(client)
