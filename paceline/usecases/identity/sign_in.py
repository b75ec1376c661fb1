"""Sign-in without a password, by a mail with a link and a code.

The browser that requests the mail gets a secret. The link signs in only there. Someone who opens the mail on
another device types its code in that browser. A link that another person requested therefore signs in neither
that person nor the reader of the mail.
"""

import hmac
import secrets
from hashlib import sha256
from html import escape
from typing import Final
from urllib.parse import quote
from uuid import UUID, uuid4

from paceline.core.errors import AuthenticationError, AuthorizationError
from paceline.domain.identity.mail_address import masked
from paceline.ports.identity import Member, MemberStore, NewLink, NewSession
from paceline.ports.notifications import Mail, MailQueue

_CODE_DIGITS: Final = 8
_LINK_INVALID: Final = "The sign-in link is used, expired or invalid. Request a new one."


def new_browser_secret() -> str:
    """43 characters, for a cookie of the browser that requests a link."""
    return secrets.token_urlsafe(32)


def send_link(
    members: MemberStore,
    mails: MailQueue,
    *,
    email: str,
    display_name: str | None,
    browser: str,
    verify_url: str,
    lifetime_min: int,
) -> None:
    """Mail a link and a code to `email`. The result does not reveal whether a member has that address.

    `browser` is the secret of the browser that requests it. `display_name` is for a new member; an existing
    member's name does not change. `TransientError` if too many mails are waiting to be sent.
    """
    token = secrets.token_urlsafe(32)
    code = f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}}"
    link = NewLink(
        token_hash=_hash(token),
        code_hash=_code_hash(code, browser),
        browser_hash=_hash(browser),
        email=email,
        display_name=display_name,
    )
    members.add_link(link, lifetime_min * 60)
    url = f"{verify_url}?token={quote(token)}"
    mails.put(_mail(email, url, code, lifetime_min, key=link.token_hash.hex()), lifetime_min * 60)


def look_up(members: MemberStore, token: str, browser: str | None) -> tuple[str, bool]:
    """The address that a link signs in, and whether it does so in this browser. The link stays unused.

    In another browser the address is masked. `AuthenticationError` if the link is not valid.
    """
    link = members.find_link(_hash(token))
    if link is None:
        raise AuthenticationError(_LINK_INVALID, code="LINK_INVALID")
    if browser is None or not hmac.compare_digest(link.browser_hash, _hash(browser)):
        return masked(link.email), False
    return link.email, True


def redeem(members: MemberStore, token: str, browser: str | None, session_s: int) -> tuple[Member, UUID]:
    """Use a link; returns its member and the new session.

    `AuthenticationError` if the link is not valid, `AuthorizationError` if another browser requested it.
    """
    _, works_here = look_up(members, token, browser)
    if browser is None or not works_here:
        raise AuthorizationError(
            "Another browser requested this link. Open it there, or type the code from the mail there.",
            code="OTHER_BROWSER",
        )
    new = NewSession(session=uuid4(), newcomer=uuid4(), lifetime_s=session_s)
    member = members.sign_in(_hash(token), _hash(browser), new)
    if member is None:
        raise AuthenticationError(_LINK_INVALID, code="LINK_INVALID")
    return member, new.session


def redeem_code(
    members: MemberStore, email: str, code: str, browser: str | None, session_s: int
) -> tuple[Member, UUID]:
    """Use the code of a mail; returns the member and the new session.

    `AuthorizationError` in a browser that has requested no mail, `AuthenticationError` for a wrong code.
    """
    if browser is None:
        raise AuthorizationError(
            "A code works only in the browser that requested it. Request a new one here.",
            code="OTHER_BROWSER",
        )
    new = NewSession(session=uuid4(), newcomer=uuid4(), lifetime_s=session_s)
    member = members.sign_in_by_code(email, _hash(browser), _code_hash(code, browser), new)
    if member is None:
        raise AuthenticationError(
            "The code is wrong, used or expired. Check it, or request a new mail.", code="CODE_INVALID"
        )
    return member, new.session


def _hash(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _code_hash(code: str, browser: str) -> bytes:
    # A code has too few digits to be stored under its own hash. The secret of the browser is not stored.
    return _hash(f"{browser}:{code}")


def _mail(email: str, url: str, code: str, lifetime_min: int, key: str) -> Mail:
    shown = f"{code[:4]} {code[4:]}"
    where = "in the browser in which you requested it"
    advice = (
        f"Both work once, within {lifetime_min} minutes. If you did not request this mail, ignore it, and "
        "give the code to no one."
    )
    text = (
        f"Sign in to Paceline as {email}. Open this link {where}:\n\n{url}\n\n"
        f"On another device, type this code in that browser:\n\n{shown}\n\n{advice}\n"
    )
    html = (
        f"<p>Sign in to Paceline as {escape(email)}. Open this link {where}:</p>"
        f'<p><a href="{escape(url)}">Sign in to Paceline</a></p>'
        f"<p>On another device, type this code in that browser:</p>"
        f"<p><strong>{shown}</strong></p><p>{escape(advice)}</p>"
    )
    return Mail(key=key, to=email, subject="Sign in to Paceline", text=text, html=html)
