"""Sessions: a signed cookie whose `jti` names a row in Postgres, which is read with every request."""

import hmac
import re
import time
from datetime import timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from flask import Flask, Response, g, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    decode_token,
    get_csrf_token,
    unset_jwt_cookies,
)
from flask_jwt_extended.exceptions import JWTExtendedException, WrongTokenError
from jwt.exceptions import PyJWTError
from msgspec import Struct

from api.http import security_events
from api.http.context import platform, settings
from api.http.middleware import ACCOUNT
from paceline.core.errors import AuthenticationError, AuthorizationError, ValidationError
from paceline.ports.identity import Member
from paceline.settings import Settings

_SECRET_LENGTH: Final = 32
_MAX_CACHED_TOKENS: Final = 4096
_COOKIE: Final = "access_token_cookie"
_CSRF_COOKIE: Final = "csrf_access_token"
# A token has no characters that need quoting.
_TOKEN_COOKIE: Final = re.compile(rf"(?:^|;)\s*{_COOKIE}=([A-Za-z0-9_.-]*)", re.ASCII)
SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class _Claims(Struct, frozen=True):
    session: UUID
    ends_s: float
    csrf: str


def install(app: Flask, settings: Settings) -> None:
    if len(settings.jwt_secret.reveal()) < _SECRET_LENGTH:
        raise ValidationError(
            f"PACELINE_JWT_SECRET must have at least {_SECRET_LENGTH} characters. Let `paceline up` set it."
        )
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret.reveal(),
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["cookies"],
        JWT_ACCESS_COOKIE_NAME=_COOKIE,
        JWT_COOKIE_CSRF_PROTECT=True,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=lifetime_s(settings)),
    )
    JWTManager(app)


def lifetime_s(settings: Settings) -> int:
    return settings.session_days * 24 * 3600


def authenticate() -> Member:
    """The member of this request. 401 without a valid session, 403 without its CSRF token."""
    environ = request.environ
    found = _TOKEN_COOKIE.search(environ.get("HTTP_COOKIE", ""))
    try:
        claims = _claims(found[1] if found else "", settings().jwt_secret.reveal())
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        raise AuthenticationError("You are not signed in. Sign in first.") from error
    if claims.ends_s <= time.time():
        raise AuthenticationError("You are not signed in. Sign in first.")
    csrf = environ.get("HTTP_X_CSRF_TOKEN", "")
    if request.method not in SAFE_METHODS and not hmac.compare_digest(csrf.encode(), claims.csrf.encode()):
        security_events.record("csrf_failed", actor=f"session:{claims.session}", path=request.path[:100])
        raise AuthorizationError(
            "The CSRF token is missing or wrong. Send the value of the cookie csrf_access_token "
            "in the header X-CSRF-TOKEN.",
            code="CSRF_FAILED",
        )
    member = platform().members.of_session(claims.session)
    if member is None:
        raise AuthenticationError("This session has ended. Sign in again.", code="SESSION_ENDED")
    environ[ACCOUNT] = member.account
    g.session = claims.session
    return member


@lru_cache(maxsize=_MAX_CACHED_TOKENS)
def _claims(token: str, _secret: str) -> _Claims:
    """The claims of a token with our signature. Verifying costs more than the rest of a request, so the
    result is cached. The caller checks the expiry and the session's row."""
    claims = decode_token(token)
    if claims["type"] != "access":
        raise WrongTokenError("this is not a session token")
    return _Claims(UUID(claims["jti"]), claims["exp"], claims["csrf"])


def start(response: Response, member: Member, token: str) -> Response:
    """Set the session's cookies on the response."""
    max_age = lifetime_s(settings())
    set_cookie(response, _COOKIE, token, max_age=max_age)
    set_cookie(response, _CSRF_COOKIE, get_csrf_token(token), max_age=max_age, http_only=False)
    return response


def set_cookie(
    response: Response, name: str, value: str, *, max_age: int, path: str = "/", http_only: bool = True
) -> None:
    """Set a cookie that other sites' requests do not carry. It needs TLS if the browser uses TLS."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=path,
        secure=request.is_secure or settings().public_url.startswith("https://"),
        httponly=http_only,
        samesite="Lax",
    )


def token_of(member: Member, session: UUID) -> tuple[str, str]:
    """The signed token of a session and its CSRF token."""
    token = create_access_token(str(member.id), additional_claims={"jti": str(session)})
    return token, get_csrf_token(token)


def end(response: Response) -> Response:
    """Remove the session's cookies from the browser. The caller ends its row first."""
    unset_jwt_cookies(response)
    return response
