"""Databases and servers for the contract suites, including addresses that nothing listens on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from paceline.adapters.postgres.connections.health import HealthConnection
from paceline.adapters.postgres.connections.pool import Pool
from paceline.local.processes.ports import free_port
from tests.support.servers import as_role


@pytest.fixture(scope="module")
def pool_of() -> Iterator[Callable[[str], Pool]]:
    """Open a connection pool on the database of a URL."""
    with ExitStack() as opened:
        yield lambda url: opened.enter_context(closing(Pool(url, connections=4)))


@pytest.fixture(scope="module")
def pool(pool_of: Callable[[str], Pool], postgres_url: str) -> Pool:
    """A pool on this module's own database, as the API."""
    return pool_of(as_role(postgres_url, "api"))


@pytest.fixture(scope="module")
def health(postgres_url: str) -> Iterator[HealthConnection]:
    with closing(HealthConnection(as_role(postgres_url, "api"))) as opened:
        yield opened


@pytest.fixture(scope="session")
def unreachable_url() -> str:
    """The URL of a Postgres server that does not exist."""
    return f"postgresql://unknown@127.0.0.1:{free_port()}/none"


@pytest.fixture(scope="session")
def unreachable_pool(unreachable_url: str) -> Iterator[Pool]:
    with closing(Pool(unreachable_url, connections=1, timeout_s=0.05)) as opened:
        yield opened


@pytest.fixture(scope="session")
def unreachable_health(unreachable_url: str) -> Iterator[HealthConnection]:
    with closing(HealthConnection(unreachable_url, timeout_s=0.5)) as opened:
        yield opened


@pytest.fixture(scope="session")
def unreachable_redis_url() -> str:
    """The URL of a Redis server that does not exist."""
    return f"redis://127.0.0.1:{free_port()}/0"
