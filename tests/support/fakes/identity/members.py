"""Members, links and sessions, in memory."""

import threading
import time
from dataclasses import dataclass
from uuid import UUID

from paceline.domain.identity.accounts import account_of, default_display_name
from paceline.ports.identity import CODE_TRIES, Member, NewLink, NewSession, OpenLink
from tests.support.fakes.store import FakeStore


@dataclass
class _Link:
    given: NewLink
    expires_s: float
    wrong_codes: int = 0


class FakeMembers(FakeStore):
    def __init__(self) -> None:
        self.by_email: dict[str, Member] = {}
        self._links: dict[bytes, _Link] = {}
        self._sessions: dict[UUID, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def add_link(self, link: NewLink, lifetime_s: int) -> None:
        self._check_available()
        self._links[link.token_hash] = _Link(link, time.monotonic() + lifetime_s)

    def find_link(self, token_hash: bytes) -> OpenLink | None:
        self._check_available()
        link = self._links.get(token_hash)
        if link is None or link.expires_s <= time.monotonic():
            return None
        return OpenLink(link.given.email, link.given.browser_hash)

    def sign_in(self, token_hash: bytes, browser_hash: bytes, new: NewSession) -> Member | None:
        self._check_available()
        with self._lock:
            link = self._links.get(token_hash)
            if link is None or link not in self._open_links(link.given.email, browser_hash):
                return None
            return self._start(link.given, new)

    def sign_in_by_code(
        self, email: str, browser_hash: bytes, code_hash: bytes, new: NewSession
    ) -> Member | None:
        self._check_available()
        with self._lock:
            accepting = [
                link for link in self._open_links(email, browser_hash) if link.wrong_codes < CODE_TRIES
            ]
            for link in reversed(accepting):
                if link.given.code_hash == code_hash:
                    return self._start(link.given, new)
            for link in accepting:
                link.wrong_codes += 1
            return None

    def _open_links(self, email: str, browser_hash: bytes) -> list[_Link]:
        return [
            link
            for link in self._links.values()
            if (link.given.email, link.given.browser_hash) == (email, browser_hash)
            and link.expires_s > time.monotonic()
        ]

    def _start(self, link: NewLink, new: NewSession) -> Member:
        self._links = {key: one for key, one in self._links.items() if one.given.email != link.email}
        account = account_of(new.newcomer.bytes)
        name = link.display_name or default_display_name(account)
        fresh = Member(new.newcomer, link.email, account, name, "member")
        member = self.by_email.setdefault(link.email, fresh)
        self._sessions[new.session] = (member.email, time.monotonic() + new.lifetime_s)
        return member

    def of_session(self, session: UUID) -> Member | None:
        self._check_available()
        email, expires_s = self._sessions.get(session, ("", 0.0))
        return self.by_email[email] if expires_s > time.monotonic() else None

    def end_session(self, member: Member, session: UUID) -> None:
        self._check_available()
        if self._sessions.get(session, ("", 0.0))[0] == member.email:
            del self._sessions[session]
