"""Members, sign-in links and sessions (`community`)."""

from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec

from paceline.adapters.postgres.connections.pool import Connection, Pool
from paceline.adapters.runtime.cache import RefreshAheadCache
from paceline.ports.identity import Member

# A fast trader sends many requests a second. A session that this instance ends is dropped at once; the end by
# another instance is noticed at most this much later. Operators, who may do more, are looked up each time.
_SESSION_KEPT_S: Final = 1.0
_SESSION_FRESH_S: Final = 0.7

# Rows without further use. Each request that adds a row deletes a few of them.
_DELETE_OLD_LINKS = """
delete from community.magic_links where token_hash in (
    select token_hash from community.magic_links where expires_at < now() - interval '1 day' limit 100)
"""
_DELETE_OLD_SESSIONS = """
delete from community.sessions where jti in (
    select jti from community.sessions where expires_at < now() - interval '30 days' limit 100)
"""


def account_of(member: UUID) -> str:
    """The engine account of a member: 20 lower-case hex characters."""
    return sha256(member.bytes).hexdigest()[:20]


class PostgresMembers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sessions = RefreshAheadCache(
            self._read_session,
            lambda member: member is not None and member.role == "member",
            soft_ttl_s=_SESSION_FRESH_S,
            hard_ttl_s=_SESSION_KEPT_S,
        )

    def add_link(self, token_hash: bytes, email: str, display_name: str | None, lifetime_s: int) -> None:
        with self._pool.transaction() as connection:
            connection.execute(_DELETE_OLD_LINKS)
            connection.execute(
                "insert into community.magic_links (token_hash, email, display_name, expires_at) "
                "values (%s, %s, %s, now() + make_interval(secs => %s))",
                (token_hash, email, display_name, lifetime_s),
            )

    def sign_in(self, token_hash: bytes, newcomer: UUID, session: UUID, lifetime_s: int) -> Member | None:
        with self._pool.transaction() as connection:
            link = connection.execute(
                "update community.magic_links set used_at = now() "
                "where token_hash = %s and used_at is null and expires_at > now() "
                "returning email, display_name",
                (token_hash,),
            ).row
            if link is None:
                return None
            member = _find_or_add_member(connection, newcomer, link["email"], link["display_name"])
            connection.execute(_DELETE_OLD_SESSIONS)
            connection.execute(
                "insert into community.sessions (jti, user_id, expires_at) "
                "values (%s, %s, now() + make_interval(secs => %s))",
                (session, member.id, lifetime_s),
            )
            return member

    def of_session(self, session: UUID) -> Member | None:
        return self._sessions.get(session)

    def _read_session(self, session: UUID) -> Member | None:
        row = self._pool.row(
            "select u.id, u.email, u.account, u.display_name, u.role "
            "from community.sessions as s join community.users as u on u.id = s.user_id "
            "where s.jti = %s and s.ended_at is null and s.expires_at > now()",
            (session,),
        )
        return None if row is None else msgspec.convert(row, Member)

    def end_session(self, session: UUID) -> None:
        with self._pool.transaction() as connection:
            connection.execute(
                "update community.sessions set ended_at = now() where jti = %s and ended_at is null",
                (session,),
            )
        self._sessions.invalidate(session)


def _find_or_add_member(
    connection: Connection, newcomer: UUID, email: str, display_name: str | None
) -> Member:
    account = account_of(newcomer)
    connection.execute(
        "insert into community.users (id, email, account, display_name) values (%s, %s, %s, %s) "
        "on conflict (email) do nothing",
        (newcomer, email, account, display_name or f"trader-{account[:6]}"),
    )
    row = connection.execute(
        "select id, email, account, display_name, role from community.users where email = %s", (email,)
    ).row
    return msgspec.convert(row, Member)
