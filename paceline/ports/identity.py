"""Members, their sign-in links and their sessions."""

from typing import Protocol
from uuid import UUID

from msgspec import Struct


class Member(Struct, frozen=True):
    id: UUID
    email: str
    account: str
    display_name: str
    role: str


class MemberStore(Protocol):
    """Times are those of the store's clock. `TransientError` if the store is unavailable."""

    def add_link(self, token_hash: bytes, email: str, display_name: str | None, lifetime_s: int) -> None: ...

    def sign_in(self, token_hash: bytes, newcomer: UUID, session: UUID, lifetime_s: int) -> Member | None:
        """Use a link and start a session, atomically; `None` if the link is unknown, used or expired.

        A first sign-in creates the member, with `newcomer` as id.
        """
        ...

    def of_session(self, session: UUID) -> Member | None:
        """The session's member; `None` if the session has ended or expired."""
        ...

    def end_session(self, session: UUID) -> None: ...
