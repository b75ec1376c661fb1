"""The asyncio client of the stream services."""

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError

# The server is away, starts up, or does not answer.
AWAY = (ConnectionError, TimeoutError, BusyLoadingError, OSError)


def connect(url: str) -> Redis:
    """A client that makes its connections when they are needed; the caller repeats what failed."""
    return Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, retry=None)
