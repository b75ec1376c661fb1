"""Members, sign-in links and sessions (`community`)."""

from typing import Any, Final
from uuid import UUID

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.runtime.cache import RefreshAheadCache
from paceline.domain.identity.accounts import account_of
from paceline.ports.identity import Member, NewLink, NewSession, OpenLink

# Who trades fast asks many times a second. What this instance ends, it forgets at once; what others end is
# seen this much later at most. Operators are looked up each time: they may do more.
_SESSION_KEPT_S: Final = 1.0
_SESSION_FRESH_S: Final = 0.7

_SIGN_IN: Final = (
    "select id, email, account, display_name, role "
    "from community.sign_in(%s::bytea, %s::text, %s, %s::bytea, %s, %s, %s, %s)"
)


class PostgresMembers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sessions = RefreshAheadCache(
            self._read_session,
            lambda member: member is not None and member.role == "member",
            soft_ttl_s=_SESSION_FRESH_S,
            hard_ttl_s=_SESSION_KEPT_S,
        )

    def add_link(self, link: NewLink, lifetime_s: int) -> None:
        with self._pool.transaction() as connection:
            connection.execute(
                "select community.add_link(%s, %s, %s, %s, %s, %s)",
                (
                    link.token_hash,
                    link.code_hash,
                    link.browser_hash,
                    link.email,
                    link.display_name,
                    lifetime_s,
                ),
            )

    def find_link(self, token_hash: bytes) -> OpenLink | None:
        row = self._pool.row("select email, browser_hash from community.find_link(%s)", (token_hash,))
        return None if row is None else msgspec.convert(row, OpenLink)

    def sign_in(self, token_hash: bytes, browser_hash: bytes, new: NewSession) -> Member | None:
        return self._sign_in((token_hash, None, browser_hash, None), new)

    def sign_in_by_code(
        self, email: str, browser_hash: bytes, code_hash: bytes, new: NewSession
    ) -> Member | None:
        return self._sign_in((None, email, browser_hash, code_hash), new)

    def _sign_in(self, proof: tuple[Any, ...], new: NewSession) -> Member | None:
        with self._pool.transaction() as connection:
            row = connection.execute(
                _SIGN_IN, (*proof, new.session, new.newcomer, account_of(new.newcomer.bytes), new.lifetime_s)
            ).row
        return None if row is None else msgspec.convert(row, Member)

    def of_session(self, session: UUID) -> Member | None:
        return self._sessions.get(session)

    def _read_session(self, session: UUID) -> Member | None:
        row = self._pool.row("select * from community.of_session(%s)", (session,))
        return None if row is None else msgspec.convert(row, Member)

    def end_session(self, member: Member, session: UUID) -> None:
        with self._pool.of(member.account).transaction() as connection:
            connection.execute(
                "update community.sessions set ended_at = now() where jti = %s and ended_at is null",
                (session,),
            )
        self._sessions.invalidate(session)
