"""Sign-in without a password: a mailed link, which can be used once, starts a session."""

import secrets
from hashlib import sha256
from html import escape
from urllib.parse import quote
from uuid import UUID, uuid4

import structlog

from paceline.core.errors import AuthenticationError, UnknownError
from paceline.ports.identity import Member, MemberStore
from paceline.ports.notifications import Mail, Notifier

_log = structlog.get_logger()


def send_link(
    members: MemberStore,
    notifier: Notifier,
    *,
    email: str,
    display_name: str | None,
    verify_url: str,
    lifetime_min: int,
) -> None:
    """Mail a sign-in link to `email`. The result does not reveal whether a member has that address.

    `display_name` is for a new member; an existing member's name does not change.
    """
    token = secrets.token_urlsafe(32)
    members.add_link(_hash(token), email, display_name, lifetime_min * 60)
    link = f"{verify_url}?token={quote(token)}"
    try:
        notifier.send(_mail(email, link, lifetime_min, key=_hash(token).hex()))
    except UnknownError as error:
        # The mail may still arrive. If it does not, the person requests another link.
        _log.warning("sign_in_mail_uncertain", error=error.message, details=error.details)


def redeem(members: MemberStore, token: str, session_s: int) -> tuple[Member, UUID]:
    """Use a link; returns its member and the new session. `AuthenticationError` if it is not valid."""
    session = uuid4()
    member = members.sign_in(_hash(token), uuid4(), session, session_s)
    if member is None:
        raise AuthenticationError(
            "The sign-in link is used, expired or invalid. Request a new one.",
            code="LINK_INVALID",
        )
    return member, session


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _mail(email: str, link: str, lifetime_min: int, key: str) -> Mail:
    text = (
        f"Sign in to Paceline:\n\n{link}\n\n"
        f"The link works once, within {lifetime_min} minutes. If you did not request it, ignore this mail.\n"
    )
    html = (
        f'<p><a href="{escape(link)}">Sign in to Paceline</a></p>'
        f"<p>The link works once, within {lifetime_min} minutes. "
        "If you did not request it, ignore this mail.</p>"
    )
    return Mail(key=key, to=email, subject="Your sign-in link for Paceline", text=text, html=html)
