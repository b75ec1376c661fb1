"""Contract of `SecurityEventStore`: each event once, exactly as it was given."""

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from paceline.adapters.postgres.identity.security_events import PostgresSecurityEvents
from paceline.core.errors import TransientError
from paceline.ports.identity import SecurityEvent, SecurityEventStore
from tests.support.fakes.identity.security_events import FakeSecurityEvents
from tests.support.fakes.store import make_unavailable

AT_US = 1_764_524_000_123_457
Found = Callable[[UUID], SecurityEvent | None]


@pytest.fixture(params=["fake", "postgres"])
def subject(request: pytest.FixtureRequest) -> tuple[SecurityEventStore, Found]:
    """A store, and a way to read one event from it."""
    if request.param == "fake":
        fake = FakeSecurityEvents()
        return fake, fake.by_id.get
    url = request.getfixturevalue("postgres_url")

    def found(wanted: UUID) -> SecurityEvent | None:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            row = connection.execute(
                "select (extract(epoch from at) * 1000000)::bigint as at_us, * "
                "from ops.security_events where id = %s",
                (wanted,),
            ).fetchone()
        if row is None:
            return None
        del row["at"]
        return SecurityEvent(**row)

    return PostgresSecurityEvents(request.getfixturevalue("pool")), found


@pytest.fixture(params=["fake", "postgres"])
def unavailable(request: pytest.FixtureRequest) -> SecurityEventStore:
    if request.param == "fake":
        return make_unavailable(FakeSecurityEvents())
    return PostgresSecurityEvents(request.getfixturevalue("unreachable_pool"))


def event(actor: str = "anonymous", at_us: int = AT_US) -> SecurityEvent:
    return SecurityEvent(id=uuid4(), at_us=at_us, event="sign_in_failed", actor=actor)


def test_events_are_stored_with_all_fields(subject: tuple[SecurityEventStore, Found]) -> None:
    store, found = subject
    full = SecurityEvent(
        id=uuid4(),
        at_us=AT_US,
        event="operator_acted",
        actor="cli:ada",
        account="3f1c0a9be2d4477c8a10",
        email_hash="ab" * 32,
        address="2001:db8::1",
        request_id="r-1",
        details={"act": "halt_market", "about": "BTC'_\"USDC"},
    )
    plain = event()
    store.add([full, plain])
    assert (found(full.id), found(plain.id)) == (full, plain)


def test_an_event_that_is_added_again_stays_as_it_is(subject: tuple[SecurityEventStore, Found]) -> None:
    store, found = subject
    first, second = event(), event()
    store.add([first])
    changed = SecurityEvent(id=first.id, at_us=1, event="signed_in", actor="other")
    store.add([changed, second])
    assert (found(first.id), found(second.id)) == (first, second)


def test_an_unavailable_store_raises_transient_error(unavailable: SecurityEventStore) -> None:
    with pytest.raises(TransientError):
        unavailable.add([event()])


def test_events_older_than_400_days_are_deleted(request: pytest.FixtureRequest) -> None:
    """Postgres only: a fake has no retention."""
    store = PostgresSecurityEvents(request.getfixturevalue("pool"))
    with psycopg.connect(request.getfixturevalue("postgres_url"), autocommit=True) as connection:
        ages = "select event, count(*) from ops.security_events where actor = 'aged' group by event"
        connection.execute(
            "insert into ops.security_events (id, at, event, actor) "
            "select gen_random_uuid(), now() - make_interval(days => days), days::text, 'aged' "
            "from unnest(array[399, 401]) as days, generate_series(1, 1500)"
        )
        store.add([event()])
        assert dict(connection.execute(ages).fetchall()) == {"399": 1500, "401": 500}
        store.add([event()])
        assert dict(connection.execute(ages).fetchall()) == {"399": 1500}
