"""Who is asking: a signed cookie, whose `jti` is a row in Postgres that is looked at on every request."""

import hmac
import time
from datetime import timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask, Response, g, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    decode_token,
    get_csrf_token,
    set_access_cookies,
    unset_jwt_cookies,
)
from flask_jwt_extended.config import config as jwt_config
from flask_jwt_extended.exceptions import JWTExtendedException, WrongTokenError
from jwt.exceptions import PyJWTError

from api.context import platform, settings
from paceline.core.errors import AuthenticationError, AuthorizationError, ValidationError
from paceline.ports.members import Member
from paceline.settings import Settings

_SECRET_LENGTH: Final = 32
_TOKENS_REMEMBERED: Final = 4096


def install(app: Flask, settings: Settings) -> None:
    if len(settings.jwt_secret) < _SECRET_LENGTH:
        raise ValidationError(
            f"PACELINE_JWT_SECRET must have at least {_SECRET_LENGTH} characters; `paceline up` makes one."
        )
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret,
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_COOKIE_SECURE=not is_loopback(settings.api_url),
        JWT_COOKIE_SAMESITE="Lax",
        JWT_COOKIE_CSRF_PROTECT=True,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=lifetime_s(settings)),
    )
    JWTManager(app)


def is_loopback(url: str) -> bool:
    """Whether the URL stays on this machine, where there is no TLS to insist on."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def lifetime_s(settings: Settings) -> int:
    return settings.session_days * 24 * 3600


def authenticate() -> Member:
    """The member who asks; 401 without a living session, 403 without its CSRF token."""
    try:
        claims = _claims(request.cookies.get(jwt_config.access_cookie_name, ""), settings().jwt_secret)
        session = UUID(claims["jti"])
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        raise AuthenticationError("Sign in first.") from error
    if claims["exp"] <= time.time():
        raise AuthenticationError("Sign in first.")
    if request.method in jwt_config.csrf_request_methods and not _proves(claims["csrf"]):
        raise AuthorizationError(
            "Send the value of the cookie csrf_access_token in the header X-CSRF-TOKEN.", code="CSRF_FAILED"
        )
    member = platform().members.of_session(session)
    if member is None:
        raise AuthenticationError("This session has ended. Sign in again.", code="SESSION_ENDED")
    g.member, g.session = member, session
    return member


@lru_cache(maxsize=_TOKENS_REMEMBERED)
def _claims(token: str, _secret: str) -> dict[str, Any]:
    """What a token says, if it is ours. Verifying one costs more than the rest of a request, so it is done
    once for each; whether it still holds is for the caller and the session's row to say."""
    claims: dict[str, Any] = decode_token(token)
    if claims["type"] != "access":
        raise WrongTokenError("not a session's token")
    return claims


def _proves(csrf: str) -> bool:
    given = request.headers.get(jwt_config.access_csrf_header_name, "")
    return hmac.compare_digest(given.encode(), csrf.encode())


def start(response: Response, member: Member, token: str) -> Response:
    """Put the session's cookies on the answer."""
    set_access_cookies(response, token, max_age=lifetime_s(settings()))
    return response


def token_of(member: Member, session: UUID) -> tuple[str, str]:
    """The signed token of a session, and its CSRF token."""
    token = create_access_token(str(member.id), additional_claims={"jti": str(session)})
    return token, get_csrf_token(token)


def end(response: Response) -> Response:
    """Take the session off the browser; its row must have been ended before."""
    unset_jwt_cookies(response)
    return response
