"""Databases and servers of the contract suites, those that are not there included."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from paceline.adapters.postgres.connections.pool import Pool
from paceline.local.processes.ports import free_port


@pytest.fixture(scope="module")
def pool_of() -> Iterator[Callable[[str], Pool]]:
    """Opens pools on databases."""
    with ExitStack() as opened:
        yield lambda url: opened.enter_context(closing(Pool(url, connections=4)))


@pytest.fixture(scope="module")
def pool(pool_of: Callable[[str], Pool], postgres_url: str) -> Pool:
    """On the module's own database."""
    return pool_of(postgres_url)


@pytest.fixture(scope="session")
def lost_url() -> str:
    """Of a Postgres that is not there."""
    return f"postgresql://nobody@127.0.0.1:{free_port()}/none"


@pytest.fixture(scope="session")
def lost_pool(lost_url: str) -> Iterator[Pool]:
    with closing(Pool(lost_url, connections=1, timeout_s=0.05)) as opened:
        yield opened


@pytest.fixture(scope="session")
def lost_redis_url() -> str:
    """Of a Redis that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"
