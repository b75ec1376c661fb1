"""Security events: recorded in the background. No request waits for them, none fails without Postgres."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.identity.security_events import PostgresSecurityEvents
from paceline.adapters.runtime.background import BackgroundQueue
from paceline.bootstrap.gateway import now_us
from paceline.settings import Settings
from paceline.usecases.identity.security_log import SecurityLog

# Security events wait in memory while Postgres is unavailable: so many of them, and so long.
_MAX_EVENTS: Final = 10_000
_EVENT_USEFUL_S: Final = 600
_EVENTS_AT_ONCE: Final = 500


def security_log_on(pool: Pool, now_us: Callable[[], int]) -> tuple[SecurityLog, Callable[[], None]]:
    """The log of security events, and what stores the waiting ones and closes it."""
    events = BackgroundQueue(
        "security events", PostgresSecurityEvents(pool).add, capacity=_MAX_EVENTS, batch=_EVENTS_AT_ONCE
    )
    return SecurityLog(lambda event: events.put(event, _EVENT_USEFUL_S), now_us), events.close


@contextmanager
def security_log(settings: Settings) -> Iterator[SecurityLog]:
    """Security events of a command that needs nothing else of the platform."""
    pool = Pool(settings.database_url_of("api"), connections=1)
    log, close = security_log_on(pool, now_us)
    try:
        yield log
    finally:
        close()
        pool.close()
