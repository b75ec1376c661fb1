"""The mails that Resend accepts, and its refusals of others: `{"statusCode", "name", "message"}`."""

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

_ADDRESS: Final = re.compile(r"(?:[^<>@]*<)?[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+>?")
_TEXTS: Final = ("subject", "html", "text")
_ADDRESSEES: Final = ("to", "cc", "bcc", "reply_to")
_FIELDS: Final = frozenset(
    ("from", "headers", "scheduled_at", "attachments", "tags", "template", "topic_id", *_TEXTS, *_ADDRESSEES)
)
_MAX_RECIPIENTS: Final = 50
_MAX_PAGE: Final = 100


class Refusal(Struct, frozen=True, rename={"status": "statusCode"}):
    status: int
    name: str
    message: str


def refusal_of_mail(body: Any) -> Refusal | None:
    """The refusal of this mail as Resend gives it, `None` if the mail is valid."""
    if not isinstance(body, dict):
        return Refusal(400, "validation_error", "The request body must be a JSON object.")
    return next(_refusals_of(body), None)


def _refusals_of(mail: dict[str, Any]) -> Iterator[Refusal]:
    for name in ("from", "to", "subject"):
        if not mail.get(name):
            yield Refusal(422, "missing_required_field", f"Missing `{name}` field.")
    if not any(mail.get(name) for name in ("html", "text", "template")):
        yield Refusal(422, "missing_required_field", "Missing `html` or `text` field.")
    for name in sorted(set(mail) - _FIELDS):
        yield Refusal(422, "validation_error", f"Unrecognized field `{name}`.")
    if not _is_address(mail["from"]):
        form = "`email@example.com` or `Name <email@example.com>`"
        yield Refusal(422, "invalid_from_address", f"Invalid `from` field. The form is {form}.")
    for name in _ADDRESSEES:
        if name in mail and not _are_addresses(mail[name]):
            yield Refusal(
                422, "validation_error", f"Invalid `{name}` field: 1 to {_MAX_RECIPIENTS} addresses."
            )
    for name in _TEXTS:
        if mail.get(name) is not None and not isinstance(mail[name], str):
            yield Refusal(422, "validation_error", f"The `{name}` field must be a string.")


def limit_of(text: str | None) -> int | Refusal:
    """The number of mails in a list: 1 to 100, 20 by default."""
    if text is None:
        return 20
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= _MAX_PAGE:
        return int(text)
    return Refusal(422, "validation_error", f"The `limit` must be between 1 and {_MAX_PAGE}.")


def _are_addresses(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return 1 <= len(values) <= _MAX_RECIPIENTS and all(_is_address(one) for one in values)


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 320 and _ADDRESS.fullmatch(value) is not None
