"""Members, links and sessions, in memory."""

import threading
import time
from dataclasses import dataclass
from uuid import UUID

from paceline.ports.identity import Member
from tests.support.fakes.store import FakeStore


@dataclass
class _Link:
    email: str
    display_name: str | None
    expires_s: float


class FakeMembers(FakeStore):
    """The account of a new member is the start of their id in hex."""

    def __init__(self) -> None:
        self.by_email: dict[str, Member] = {}
        self._links: dict[bytes, _Link] = {}
        self._sessions: dict[UUID, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def add_link(self, token_hash: bytes, email: str, display_name: str | None, lifetime_s: int) -> None:
        self._check_available()
        self._links[token_hash] = _Link(email, display_name, time.monotonic() + lifetime_s)

    def sign_in(self, token_hash: bytes, newcomer: UUID, session: UUID, lifetime_s: int) -> Member | None:
        self._check_available()
        with self._lock:
            link = self._links.pop(token_hash, None)
            if link is None or link.expires_s <= time.monotonic():
                return None
            name = link.display_name or f"trader-{newcomer.hex[:6]}"
            fresh = Member(newcomer, link.email, newcomer.hex[:20], name, "member")
            member = self.by_email.setdefault(link.email, fresh)
            self._sessions[session] = (member.email, time.monotonic() + lifetime_s)
            return member

    def of_session(self, session: UUID) -> Member | None:
        self._check_available()
        email, expires_s = self._sessions.get(session, ("", 0.0))
        return self.by_email[email] if expires_s > time.monotonic() else None

    def end_session(self, session: UUID) -> None:
        self._check_available()
        self._sessions.pop(session, None)
