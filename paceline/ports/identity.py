"""Members, their sign-in links, their sessions, and what concerns the security of accounts."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol
from uuid import UUID

from msgspec import Struct

# Wrong codes that a link accepts. The link itself still works after them.
CODE_TRIES: Final = 5


class Member(Struct, frozen=True):
    id: UUID
    email: str
    account: str
    display_name: str
    role: str


class NewLink(Struct, frozen=True, kw_only=True):
    """A sign-in link with its code. Only SHA-256 hashes are stored: of the token, of the code together with
    the secret of the browser that requested the link, and of that secret."""

    token_hash: bytes
    code_hash: bytes
    browser_hash: bytes
    email: str
    display_name: str | None


class OpenLink(Struct, frozen=True):
    """A link that is neither used nor expired."""

    email: str
    browser_hash: bytes


class NewSession(Struct, frozen=True, kw_only=True):
    """The ids of a session and of its member, if the address has none yet."""

    session: UUID
    newcomer: UUID
    lifetime_s: int


class MemberStore(Protocol):
    """Times are those of the store's clock. `TransientError` if the store is unavailable.

    A sign-in uses up all open links of its address. A first sign-in creates the member.
    """

    def add_link(self, link: NewLink, lifetime_s: int) -> None:
        """Add a link. The other links of the address stay as they are."""
        ...

    def find_link(self, token_hash: bytes) -> OpenLink | None:
        """The link, which stays unused; `None` if it is unknown, used or expired."""
        ...

    def sign_in(self, token_hash: bytes, browser_hash: bytes, new: NewSession) -> Member | None:
        """Use a link and start a session, atomically.

        `None` if the link is unknown, used or expired, or of another browser.
        """
        ...

    def sign_in_by_code(
        self, email: str, browser_hash: bytes, code_hash: bytes, new: NewSession
    ) -> Member | None:
        """Use the link of this address, browser and code, and start a session, atomically.

        `None` if there is none, or if it has had `CODE_TRIES` wrong codes. A wrong code counts for each open
        link of this address and browser.
        """
        ...

    def of_session(self, session: UUID) -> Member | None:
        """The session's member; `None` if the session has ended or expired."""
        ...

    def end_session(self, member: Member, session: UUID) -> None:
        """End a session of a member; one that is not theirs stays as it is."""
        ...


SecurityEventName = Literal[
    "signed_in", "sign_in_failed", "signed_out", "csrf_failed", "operator_acted", "role_changed"
]


class SecurityEvent(Struct, frozen=True, kw_only=True):
    """`at_us` is the time in µs. `actor` is one of `member:<account>`, `session:<id>`, `cli:<Unix user>` and
    `anonymous`. `email_hash` is the SHA-256 of an address in lower case, in hex. `address` is the client's.
    """

    id: UUID
    at_us: int
    event: SecurityEventName
    actor: str
    account: str | None = None
    email_hash: str | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, str] = {}


class SecurityEventStore(Protocol):
    def add(self, events: Sequence[SecurityEvent]) -> None:
        """Store events; those whose id is known are skipped. `TransientError` if the store is unavailable."""
        ...
