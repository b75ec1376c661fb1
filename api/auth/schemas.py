"""Bodies and responses of sign-in."""

from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Struct

from api.http.fields import describe_field

_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # one part of a domain

Email = Annotated[
    str,
    describe_field(
        "Address that gets the sign-in link.",
        "be an e-mail address such as name@example.com",
        pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@({_LABEL}\.)+{_LABEL}$",
        max_length=254,
    ),
]
DisplayName = Annotated[
    str,
    describe_field(
        "Name of a new member on the leaderboard, printable. An existing member keeps their name.",
        "have 1 to 40 characters, no < or >, and no space at either end",
        pattern=r"^[^\s<>]([^<>]{0,38}[^\s<>])?$",
        # No pattern that all tools read can state "printable": the format is a name for it.
        extra_json_schema={"format": "printable"},
    ),
]
Token = Annotated[
    str,
    describe_field(
        "The token of a sign-in link.", "be the token of a sign-in link", pattern=r"^[A-Za-z0-9_-]{43}$"
    ),
]
Code = Annotated[
    str,
    describe_field(
        "The code of a sign-in mail.", "be the 8 digits of a sign-in mail", pattern=r"^[0-9]{4} ?[0-9]{4}$"
    ),
]


class SignInRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email: Email
    display_name: DisplayName | None = None


class LinkSent(Struct, frozen=True):
    message: str


class SignInToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: Token


class SignInProof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of a link, or the address and the code of a mail."""

    token: Token | None = None
    email: Email | None = None
    code: Code | None = None

    schema_rules: ClassVar[dict[str, Any]] = {
        "oneOf": [
            {
                "properties": {
                    "token": {"type": "string"},
                    "email": {"type": "null"},
                    "code": {"type": "null"},
                },
                "required": ["token"],
            },
            {
                "properties": {
                    "token": {"type": "null"},
                    "email": {"type": "string"},
                    "code": {"type": "string"},
                },
                "required": ["email", "code"],
            },
        ]
    }

    def __post_init__(self) -> None:
        if self.token is not None:
            if self.email is not None or self.code is not None:
                raise ValueError("token: must be alone, without email and code")
        elif self.email is None and self.code is None:
            raise ValueError("token: is required, or email and code")
        elif self.email is None or self.code is None:
            missing = "email" if self.email is None else "code"
            raise ValueError(f"{missing}: is required, because the other of email and code is given")


class LinkInfo(Struct, frozen=True, kw_only=True):
    """`email` is masked unless this browser requested the link. Only there the link signs in."""

    email: str
    works_here: bool


class SessionInfo(Struct, frozen=True, kw_only=True):
    """The response sets the session's cookies. Send `csrf_token` in the header X-CSRF-TOKEN."""

    account: str
    email: str
    display_name: str
    role: str
    csrf_token: str
    expires_in_s: int


class SignedOut(Struct, frozen=True):
    signed_out: Literal[True] = True


ASK_EXAMPLE: Final = {"email": "ada@example.com", "display_name": "Ada"}
SENT_EXAMPLE: Final = {"message": "If this address can receive mail, a link and a code are on their way."}
LINK_EXAMPLE: Final = {"email": "ada@example.com", "works_here": True}
USE_EXAMPLE: Final = {"token": "q1W2e3R4t5Y6u7I8o9P0aSdFgHjKlZxCvBnM-_12345"}
SESSION_EXAMPLE: Final[dict[str, Any]] = {
    "account": "3f1c0a9be2d4477c8a10",
    "email": "ada@example.com",
    "display_name": "Ada",
    "role": "member",
    "csrf_token": "0e1d3f5c-6a61-4f0b-9c6c-1d7c7ad0f5c1",
    "expires_in_s": 604800,
}
