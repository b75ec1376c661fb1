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


class Members(Protocol):
    """Times are the store's own clock. `TransientError` when the store is away."""

    def add_link(self, token_hash: bytes, email: str, display_name: str | None, lifetime_s: int) -> None: ...

    def sign_in(self, token_hash: bytes, newcomer: UUID, session: UUID, lifetime_s: int) -> Member | None:
        """Use up a link and start a session, all or nothing; `None` if the link is unknown, used or expired.

        A first sign-in makes the member, with `newcomer` as its id.
        """
        ...

    def of_session(self, session: UUID) -> Member | None:
        """Whose session it is; `None` once it has ended or expired."""
        ...

    def end_session(self, session: UUID) -> None: ...
