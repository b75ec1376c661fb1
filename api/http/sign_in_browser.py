"""The cookie of a browser that has requested a sign-in mail. The mail's link and code work only there."""

import re
from typing import Annotated, Any, Final

from flask import Response, request
from msgspec import Meta

from api.http.context import settings
from api.http.session import set_cookie
from paceline.usecases.identity.sign_in import new_browser_secret

COOKIE: Final = "paceline_sign_in"
# The cookie as a parameter of a route.
PARAMETER: Final[dict[str, Any]] = {
    COOKIE: Annotated[str, Meta(description="Set by the response to the request for a sign-in mail.")]
}
_PATH: Final = "/api/v1/auth"
_SECRET_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def known() -> str | None:
    """The secret of this request's browser; `None` if it has none."""
    secret = request.cookies.get(COOKIE, "")
    return secret if _SECRET_FORM.fullmatch(secret) else None


def known_or_new() -> str:
    """The secret of this request's browser. One that exists is used again: its earlier links still work."""
    return known() or new_browser_secret()


def remember(response: Response, secret: str) -> Response:
    """Set the cookie, for as long as the newest link works."""
    set_cookie(response, COOKIE, secret, max_age=settings().magic_link_minutes * 60, path=_PATH)
    return response


def forget(response: Response) -> Response:
    response.delete_cookie(COOKIE, path=_PATH)
    return response
