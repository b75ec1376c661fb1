"""Rate limits of sign-in links. Counted in Redis, or in this process while Redis is unavailable."""

import time
from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address, ip_network
from typing import Any, Final, cast

from flask import Flask, current_app, request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool
from werkzeug.exceptions import TooManyRequests

from api.http.context import settings as settings_of_app
from paceline.adapters.runtime.awaiting import wait_for
from paceline.domain.identity.mail_address import mailbox_of
from paceline.settings import Settings

# One address cannot lock the owner of a mailbox out: only its own mails are limited so closely.
_MAILS_PER_MAILBOX_AND_ADDRESS: Final = RateLimitItemPerMinute(5, 10)
_MAILS_PER_MAILBOX: Final = RateLimitItemPerMinute(30, 10)
_EXTENSION: Final = "paceline.limits"


class RateLimiter:
    def __init__(self, cache_url: str) -> None:
        self._connections = ConnectionPool.from_url(cache_url, socket_connect_timeout=1, socket_timeout=1)
        # The pool is accepted, though the type hint is narrower.
        shared = RedisStorage(
            cache_url,
            wrap_exceptions=True,
            implementation="redispy",
            connection_pool=self._connections,  # type: ignore[arg-type]
        )
        self._shared = FixedWindowRateLimiter(shared)
        self._local = FixedWindowRateLimiter(MemoryStorage())

    def spend(self, limit: RateLimitItem, *whose: str) -> None:
        """Count one request against a limit of `whose`. `TooManyRequests` if the limit is exceeded."""
        try:
            wait_s = wait_for(_spend(self._shared, limit, whose))
        except StorageError:
            wait_s = wait_for(_spend(self._local, limit, whose))
        if wait_s:
            raise TooManyRequests(retry_after=wait_s)

    def close(self) -> None:
        wait_for(self._connections.aclose())


async def _spend(limiter: FixedWindowRateLimiter, limit: RateLimitItem, whose: tuple[str, ...]) -> int:
    """Count one request. Seconds until the next one is allowed, 0 if this one is."""
    if await limiter.hit(limit, *whose):
        return 0
    window = await limiter.get_window_stats(limit, *whose)
    return max(1, int(window.reset_time - time.time()))


def install(app: Flask, settings: Settings) -> None:
    app.extensions[_EXTENSION] = RateLimiter(settings.cache_url)


def close() -> None:
    """Close the connections of the current application."""
    _limits().close()


def _limits() -> RateLimiter:
    return cast(RateLimiter, current_app.extensions[_EXTENSION])


def per_address(view: Callable[..., Any]) -> Callable[..., Any]:
    """Limits how many requests a minute one network address may send to a view, valid or not."""

    @wraps(view)
    def limited(**given: Any) -> Any:
        often = RateLimitItemPerMinute(settings_of_app().sign_in_rate_per_minute)
        _limits().spend(often, view.__name__, client_network())
        return view(**given)

    return limited


def client_network() -> str:
    """The client address; of an IPv6 address the /64 network, which belongs to one customer."""
    text = request.remote_addr or ""
    try:
        address = ip_address(text)
    except ValueError:
        return text[:64]
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def spend_mail(email: str) -> None:
    """Count one mail to a mailbox, for the address that requests it and for all."""
    mailbox = mailbox_of(email)
    _limits().spend(_MAILS_PER_MAILBOX_AND_ADDRESS, "mail", mailbox, client_network())
    _limits().spend(_MAILS_PER_MAILBOX, "mail", mailbox)
