"""Contract of `Members`: links that work once, and sessions that end."""

import time
from concurrent.futures import ThreadPoolExecutor
from secrets import token_bytes
from uuid import UUID, uuid4

import pytest

from paceline.adapters.postgres.identity.members import PostgresMembers
from paceline.core.errors import TransientError
from paceline.ports.identity import Member, MemberStore
from tests.support.fakes.identity.members import FakeMembers
from tests.support.fakes.store import make_unavailable

HOUR_S = 3600


@pytest.fixture(params=["fake", "postgres"])
def members(request: pytest.FixtureRequest) -> MemberStore:
    return FakeMembers() if request.param == "fake" else PostgresMembers(request.getfixturevalue("pool"))


@pytest.fixture(params=["fake", "postgres"])
def unavailable(request: pytest.FixtureRequest) -> MemberStore:
    fake = request.param == "fake"
    return (
        make_unavailable(FakeMembers())
        if fake
        else PostgresMembers(request.getfixturevalue("unreachable_pool"))
    )


@pytest.fixture
def email() -> str:
    return f"{uuid4().hex}@example.com"


def link(members: MemberStore, email: str, name: str | None = None, lifetime_s: int = HOUR_S) -> bytes:
    token_hash = token_bytes(32)
    members.add_link(token_hash, email, name, lifetime_s)
    return token_hash


def signed_in(members: MemberStore, email: str, name: str | None = None) -> tuple[Member, UUID]:
    session = uuid4()
    member = members.sign_in(link(members, email, name), uuid4(), session, HOUR_S)
    assert member is not None
    return member, session


def test_a_first_sign_in_creates_the_member(members: MemberStore, email: str) -> None:
    newcomer, session = uuid4(), uuid4()
    member = members.sign_in(link(members, email, "Ada"), newcomer, session, HOUR_S)
    assert member is not None
    assert (member.id, member.email, member.display_name, member.role) == (newcomer, email, "Ada", "member")
    assert len(member.account) == 20
    assert members.of_session(session) == member


def test_a_member_without_a_name_gets_a_default_name(members: MemberStore, email: str) -> None:
    assert signed_in(members, email)[0].display_name


def test_a_second_sign_in_changes_nothing_of_the_member(members: MemberStore, email: str) -> None:
    first, _ = signed_in(members, email, "Ada")
    again, _ = signed_in(members, email, "Mallory")
    assert again == first


def test_each_member_has_their_own_account(members: MemberStore, email: str) -> None:
    assert signed_in(members, email)[0].account != signed_in(members, "x" + email)[0].account


def test_a_link_works_once(members: MemberStore, email: str) -> None:
    token_hash, session = link(members, email), uuid4()
    assert members.sign_in(token_hash, uuid4(), uuid4(), HOUR_S) is not None
    assert members.sign_in(token_hash, uuid4(), session, HOUR_S) is None
    assert members.of_session(session) is None


def test_a_link_used_concurrently_works_once(members: MemberStore, email: str) -> None:
    token_hash, sessions = link(members, email), [uuid4() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda one: members.sign_in(token_hash, uuid4(), one, HOUR_S), sessions))
    assert sum(member is not None for member in found) == 1
    assert sum(members.of_session(session) is not None for session in sessions) == 1


def test_expired_and_unknown_links_do_not_work(members: MemberStore, email: str) -> None:
    assert members.sign_in(link(members, email, lifetime_s=0), uuid4(), uuid4(), HOUR_S) is None
    assert members.sign_in(token_bytes(32), uuid4(), uuid4(), HOUR_S) is None
    # A member is created by the sign-in, not before.
    newcomer = uuid4()
    member = members.sign_in(link(members, email), newcomer, uuid4(), HOUR_S)
    assert member is not None
    assert member.id == newcomer


def test_ending_a_session_is_final_and_affects_no_other_session(members: MemberStore, email: str) -> None:
    (member, ended), (_, other) = signed_in(members, email), signed_in(members, email)
    members.end_session(ended)
    members.end_session(ended)
    assert members.of_session(ended) is None
    assert members.of_session(other) == member


def test_a_session_expires(members: MemberStore, email: str) -> None:
    session = uuid4()
    assert members.sign_in(link(members, email), uuid4(), session, 0) is not None
    assert members.of_session(session) is None
    assert members.of_session(uuid4()) is None


def test_an_unavailable_store_raises_transient_error(unavailable: MemberStore) -> None:
    with pytest.raises(TransientError):
        unavailable.add_link(b"x", "a@example.com", None, HOUR_S)
    with pytest.raises(TransientError):
        unavailable.sign_in(b"x", uuid4(), uuid4(), HOUR_S)
    with pytest.raises(TransientError):
        unavailable.of_session(uuid4())
    with pytest.raises(TransientError):
        unavailable.end_session(uuid4())


def test_a_session_ended_by_another_instance_is_refused_within_two_seconds(
    request: pytest.FixtureRequest, email: str
) -> None:
    """Postgres only: a fake has no second instance."""
    pool = request.getfixturevalue("pool")
    here, there = PostgresMembers(pool), PostgresMembers(pool)
    member, session = signed_in(here, email)
    assert (here.of_session(session), there.of_session(session)) == (member, member)
    here.end_session(session)
    ended_s = time.monotonic()
    assert here.of_session(session) is None
    while there.of_session(session) is not None:
        time.sleep(0.05)
    assert time.monotonic() - ended_s < 2
