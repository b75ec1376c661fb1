"""Who is asking: a signed cookie, whose `jti` is a row in Postgres that is looked at on every request."""

from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask, Response, g
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    get_csrf_token,
    get_jwt,
    set_access_cookies,
    unset_jwt_cookies,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import CSRFError, JWTExtendedException
from jwt.exceptions import PyJWTError

from api.context import platform, settings
from paceline.core.errors import AuthenticationError, AuthorizationError, ValidationError
from paceline.ports.members import Member
from paceline.settings import Settings

_SECRET_LENGTH = 32


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
        verify_jwt_in_request()
        session = UUID(get_jwt()["jti"])
    except CSRFError as error:
        raise AuthorizationError(
            "Send the value of the cookie csrf_access_token in the header X-CSRF-TOKEN.", code="CSRF_FAILED"
        ) from error
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        raise AuthenticationError("Sign in first.") from error
    member = platform().members.of_session(session)
    if member is None:
        raise AuthenticationError("This session has ended. Sign in again.", code="SESSION_ENDED")
    g.member, g.session = member, session
    return member


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
