"""Contract of `Members`: links that work once, and sessions that end."""

import time
from concurrent.futures import ThreadPoolExecutor
from secrets import token_bytes
from uuid import UUID, uuid4

import pytest

from paceline.adapters.postgres.identity.members import PostgresMembers
from paceline.core.errors import TransientError
from paceline.ports.identity import CODE_TRIES, Member, MemberStore, NewLink, NewSession, OpenLink
from tests.support.fakes.identity.members import FakeMembers
from tests.support.fakes.store import make_unavailable

HOUR_S = 3600
BROWSER = token_bytes(32)
CODE = token_bytes(32)


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


def new_session(session: UUID | None = None, newcomer: UUID | None = None, hours: int = 1) -> NewSession:
    return NewSession(session=session or uuid4(), newcomer=newcomer or uuid4(), lifetime_s=hours * HOUR_S)


def link(
    members: MemberStore,
    email: str,
    name: str | None = None,
    *,
    lifetime_s: int = HOUR_S,
    browser: bytes = BROWSER,
    code: bytes = CODE,
) -> bytes:
    token_hash = token_bytes(32)
    added = NewLink(
        token_hash=token_hash, code_hash=code, browser_hash=browser, email=email, display_name=name
    )
    members.add_link(added, lifetime_s)
    return token_hash


def signed_in(members: MemberStore, email: str, name: str | None = None) -> tuple[Member, UUID]:
    new = new_session()
    member = members.sign_in(link(members, email, name), BROWSER, new)
    assert member is not None
    return member, new.session


def test_a_first_sign_in_creates_the_member(members: MemberStore, email: str) -> None:
    newcomer, session = uuid4(), uuid4()
    member = members.sign_in(link(members, email, "Ada"), BROWSER, new_session(session, newcomer))
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
    assert members.sign_in(token_hash, BROWSER, new_session()) is not None
    assert members.find_link(token_hash) is None
    assert members.sign_in(token_hash, BROWSER, new_session(session)) is None
    assert members.of_session(session) is None


def test_finding_a_link_does_not_use_it(members: MemberStore, email: str) -> None:
    token_hash = link(members, email)
    for _ in range(2):
        assert members.find_link(token_hash) == OpenLink(email, BROWSER)
    assert members.sign_in(token_hash, BROWSER, new_session()) is not None


def test_a_link_does_not_work_in_another_browser_and_stays_open(members: MemberStore, email: str) -> None:
    token_hash, session = link(members, email), uuid4()
    assert members.sign_in(token_hash, token_bytes(32), new_session(session)) is None
    assert members.of_session(session) is None
    assert members.sign_in(token_hash, BROWSER, new_session()) is not None


def test_a_new_link_leaves_the_others_open_and_a_sign_in_ends_them(members: MemberStore, email: str) -> None:
    first, second = link(members, email), link(members, email, browser=token_bytes(32))
    other = link(members, f"x{email}")
    assert members.find_link(first) is not None
    assert members.sign_in(first, BROWSER, new_session()) is not None
    assert members.find_link(second) is None
    assert members.find_link(other) is not None
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is None


def test_a_code_signs_in_once_in_its_browser(members: MemberStore, email: str) -> None:
    token_hash, session = link(members, email, "Ada"), uuid4()
    assert members.sign_in_by_code(email, token_bytes(32), CODE, new_session()) is None
    assert members.sign_in_by_code(f"x{email}", BROWSER, CODE, new_session()) is None
    member = members.sign_in_by_code(email, BROWSER, CODE, new_session(session))
    assert member is not None
    assert (member.email, member.display_name) == (email, "Ada")
    assert members.of_session(session) == member
    assert members.find_link(token_hash) is None
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is None


def test_wrong_codes_end_the_code_and_not_the_link(members: MemberStore, email: str) -> None:
    token_hash = link(members, email)
    for _ in range(CODE_TRIES):
        assert members.sign_in_by_code(email, BROWSER, token_bytes(32), new_session()) is None
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is None
    assert members.sign_in(token_hash, BROWSER, new_session()) is not None


def test_one_wrong_code_less_than_the_limit_leaves_the_code_valid(members: MemberStore, email: str) -> None:
    link(members, email)
    for _ in range(CODE_TRIES - 1):
        assert members.sign_in_by_code(email, BROWSER, token_bytes(32), new_session()) is None
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is not None


def test_wrong_codes_in_another_browser_do_not_count(members: MemberStore, email: str) -> None:
    link(members, email)
    for _ in range(2 * CODE_TRIES):
        members.sign_in_by_code(email, token_bytes(32), CODE, new_session())
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is not None


def test_the_code_of_each_open_link_works(members: MemberStore, email: str) -> None:
    link(members, email)
    link(members, email, code=token_bytes(32))
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is not None


def test_links_used_concurrently_work_once(members: MemberStore, email: str) -> None:
    tokens, sessions = [link(members, email) for _ in range(4)] * 2, [uuid4() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(
                lambda token, session: members.sign_in(token, BROWSER, new_session(session)), tokens, sessions
            )
        )
    assert sum(member is not None for member in found) == 1
    assert sum(members.of_session(session) is not None for session in sessions) == 1


def test_expired_and_unknown_links_do_not_work(members: MemberStore, email: str) -> None:
    expired = link(members, email, lifetime_s=0)
    assert members.find_link(expired) is None
    assert members.sign_in(expired, BROWSER, new_session()) is None
    assert members.sign_in_by_code(email, BROWSER, CODE, new_session()) is None
    assert members.find_link(token_bytes(32)) is None
    assert members.sign_in(token_bytes(32), BROWSER, new_session()) is None
    # A member is created by the sign-in, not before.
    newcomer = uuid4()
    member = members.sign_in(link(members, email), BROWSER, new_session(newcomer=newcomer))
    assert member is not None
    assert member.id == newcomer


def test_ending_a_session_is_final_and_affects_no_other_session(members: MemberStore, email: str) -> None:
    (member, ended), (_, other) = signed_in(members, email), signed_in(members, email)
    members.end_session(member, ended)
    members.end_session(member, ended)
    assert members.of_session(ended) is None
    assert members.of_session(other) == member


def test_a_member_does_not_end_the_session_of_another(members: MemberStore, email: str) -> None:
    (member, session), (other, _) = signed_in(members, email), signed_in(members, "x" + email)
    members.end_session(other, session)
    assert members.of_session(session) == member


def test_a_session_expires(members: MemberStore, email: str) -> None:
    session = uuid4()
    assert members.sign_in(link(members, email), BROWSER, new_session(session, hours=0)) is not None
    assert members.of_session(session) is None
    assert members.of_session(uuid4()) is None


def test_an_unavailable_store_raises_transient_error(unavailable: MemberStore) -> None:
    with pytest.raises(TransientError):
        link(unavailable, "a@example.com")
    with pytest.raises(TransientError):
        unavailable.find_link(b"x")
    with pytest.raises(TransientError):
        unavailable.sign_in(b"x", BROWSER, new_session())
    with pytest.raises(TransientError):
        unavailable.sign_in_by_code("a@example.com", BROWSER, CODE, new_session())
    with pytest.raises(TransientError):
        unavailable.of_session(uuid4())
    with pytest.raises(TransientError):
        unavailable.end_session(Member(uuid4(), "a@example.com", "a", "A", "member"), uuid4())


def test_a_session_ended_by_another_instance_is_refused_within_two_seconds(
    request: pytest.FixtureRequest, email: str
) -> None:
    """Postgres only: a fake has no second instance."""
    pool = request.getfixturevalue("pool")
    here, there = PostgresMembers(pool), PostgresMembers(pool)
    member, session = signed_in(here, email)
    assert (here.of_session(session), there.of_session(session)) == (member, member)
    here.end_session(member, session)
    ended_s = time.monotonic()
    assert here.of_session(session) is None
    while there.of_session(session) is not None:
        time.sleep(0.05)
    assert time.monotonic() - ended_s < 2
