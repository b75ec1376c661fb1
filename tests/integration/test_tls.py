"""Every client of Postgres and Redis checks the certificate of its server."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import redis
import sqlalchemy
from limits import RateLimitItemPerMinute

from api.http.limits import RateLimiter
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.connections.transaction import transaction
from paceline.adapters.postgres.connections.worker import WorkerConnection
from paceline.adapters.postgres.migrate import migrate
from paceline.adapters.redis.client import SyncRedis, connect
from paceline.adapters.redis.operations import publish
from paceline.adapters.runtime.dbt import dbt_environment, run_dbt
from paceline.core.errors import TransientError
from paceline.local.servers import server
from paceline.local.stack.airflow import database_url
from paceline.local.supervisor import probes
from paceline.settings import Settings, load
from tests.support.certificates import Authority
from tests.support.tls_proxy import tls_proxy


@dataclass(frozen=True)
class Secured:
    """Proxies with TLS before both servers, the authority of their certificates, and another one."""

    postgres: Callable[[str], str]
    redis_port: int
    authority: Authority
    other: Authority

    def settings(self, authority: Authority, folder: Path) -> Settings:
        environment = {
            "PACELINE_VAR_DIR": str(folder / "var"),
            "PACELINE_POSTGRES_URL": self.postgres(str(authority.ca_file)),
            "PACELINE_REDIS_URL": f"rediss://127.0.0.1:{self.redis_port}/0",
            "PACELINE_REDIS_CA_FILE": str(authority.ca_file),
        }
        return load(environment, folder)


@pytest.fixture(scope="module")
def secured(
    postgres_url: str, redis_server: server.RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority, other = Authority(folder, "authority"), Authority(folder, "other")
    certificate = authority.issue("localhost")
    parts = urlsplit(postgres_url)
    assert parts.port is not None
    with (
        tls_proxy(parts.port, certificate, postgres=True) as postgres_port,
        tls_proxy(redis_server.server.port, certificate) as redis_port,
    ):

        def postgres(ca_file: str) -> str:
            user = parts.netloc.rpartition("@")[0]
            query = f"sslmode=verify-full&sslrootcert={quote(ca_file, safe='')}"
            return f"postgresql://{user}@127.0.0.1:{postgres_port}{parts.path}?{query}"

        yield Secured(postgres, redis_port, authority, other)


def by_pool(url: str) -> None:
    pool = Pool(url, connections=1)
    try:
        assert pool.rows("select 1 as one") == [{"one": 1}]
    finally:
        pool.close()


def by_session(url: str) -> None:
    async def read() -> None:
        session = WorkerConnection(url, "test", patience_s=0.1)
        try:
            await session.transaction(lambda connection: connection.execute("select 1"))
        finally:
            await session.close()

    asyncio.run(read())


def by_transaction(url: str) -> None:
    with transaction(url) as connection:
        connection.execute("select 1")


def by_dbt(url: str) -> None:
    assert run_dbt(dbt_environment(url), "debug", "--connection")


POSTGRES = {
    "pool": by_pool,
    "session": by_session,
    "transaction": by_transaction,
    "migrations": migrate,
    "dbt": by_dbt,
}
REFUSED = (TransientError, psycopg.OperationalError, sqlalchemy.exc.OperationalError, AssertionError)


@pytest.mark.parametrize("client", POSTGRES)
def test_a_client_of_postgres_checks_the_certificate(
    secured: Secured,
    tmp_path: Path,
    client: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    use: Callable[[str], Any] = POSTGRES[client]
    use(secured.settings(secured.authority, tmp_path).database_url)
    with pytest.raises(REFUSED) as caught:
        use(secured.settings(secured.other, tmp_path).database_url)
    shown = f"{caught.value} {capfd.readouterr()} {caplog.text}"
    assert "certificate verify failed" in shown


def test_the_url_of_airflow_keeps_the_parameters_of_tls(secured: Secured, tmp_path: Path) -> None:
    url = database_url(secured.settings(secured.authority, tmp_path))
    assert url.startswith("postgresql+psycopg2://")
    assert f"sslmode=verify-full&sslrootcert={quote(str(secured.authority.ca_file), safe='')}" in url


def by_requests(url: str) -> None:
    client = SyncRedis(url, timeout_ms=2_000)
    try:
        assert client.ask("PING") == b"PONG"
    finally:
        client.close()


def by_service(url: str) -> None:
    async def use() -> None:
        client = connect(url, timeout_s=2)
        try:
            await client.ask(("PING",))
            await publish(client, "test", "one", {"at_us": 1, "state": "ok"})
        finally:
            await client.aclose()

    asyncio.run(use())


def by_probe(url: str) -> None:
    assert probes.beats(url, "test")(0) is None


REDIS = {"requests": by_requests, "service": by_service, "probe": by_probe}


@pytest.mark.parametrize("client", REDIS)
def test_a_client_of_redis_checks_the_certificate(secured: Secured, tmp_path: Path, client: str) -> None:
    by_service(secured.settings(secured.authority, tmp_path).cache_url)
    REDIS[client](secured.settings(secured.authority, tmp_path).cache_url)
    with pytest.raises((TransientError, redis.ConnectionError, AssertionError)) as caught:
        REDIS[client](secured.settings(secured.other, tmp_path).cache_url)
    chain = f"{caught.value} {caught.value.__cause__}"
    assert "certificate verify failed" in chain or client == "probe"


def test_the_rate_limits_use_the_certificate_authority(secured: Secured, tmp_path: Path) -> None:
    settings = secured.settings(secured.authority, tmp_path)
    limiter = RateLimiter(settings.cache_url)
    limiter.spend(RateLimitItemPerMinute(5), "tls", "test")
    limiter.close()
    with redis.Redis.from_url(settings.cache_url) as client:
        assert client.keys("*tls*"), "counted in Redis, not in this process"


def test_a_client_without_tls_is_refused(secured: Secured, tmp_path: Path) -> None:
    url = secured.postgres("").partition("?")[0]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"{url}?sslmode=disable")
    with (
        redis.Redis.from_url(f"redis://127.0.0.1:{secured.redis_port}/0", socket_timeout=2) as client,
        pytest.raises(redis.RedisError),
    ):
        client.ping()
