"""Sign-in by a mailed link, and sign-out."""

import structlog
from flask import Blueprint, Response, g, make_response, render_template, request

from api.auth import schemas
from api.http import session
from api.http.context import platform, settings
from api.http.endpoint import Spec, endpoint
from api.http.envelope import success
from api.http.limits import per_address, spend_mail
from paceline.core.errors import AppError, AuthorizationError
from paceline.ports.identity import Member
from paceline.usecases.identity import sign_in
from paceline.usecases.trading import accounts
from paceline.usecases.trading import instructions as trading

blueprint = Blueprint("auth", __name__)
_log = structlog.get_logger()


@blueprint.post("")
@per_address
@endpoint(
    Spec(
        summary="Send a sign-in link by mail",
        description="The answer is the same for known and unknown addresses.",
        body=schemas.SignInRequest,
        body_example=schemas.ASK_EXAMPLE,
        data=schemas.LinkSent,
        example=schemas.SENT_EXAMPLE,
        signed_in=False,
        errors=(400, 413, 415, 429, 502, 503),
    )
)
def ask(body: schemas.SignInRequest) -> schemas.LinkSent:
    spend_mail(body.email)
    sign_in.send_link(
        platform().members,
        platform().notifier,
        email=body.email.lower(),
        display_name=body.display_name,
        verify_url=f"{settings().api_url}/api/v1/auth/verify",
        lifetime_min=settings().magic_link_minutes,
    )
    return schemas.LinkSent(schemas.SENT_EXAMPLE["message"])


@blueprint.get("/verify")
@endpoint(
    Spec(
        summary="Use a sign-in link",
        description="With `Accept: application/json` this starts the session. A browser gets a page "
        "with a button that does it, so that mail scanners that open links do not use them up.",
        query=schemas.SignInToken,
        data=schemas.SessionInfo,
        example=schemas.SESSION_EXAMPLE,
        signed_in=False,
        errors=(400, 401, 503),
    )
)
def look(query: schemas.SignInToken) -> Response:
    if _wants_json():
        return _start_session(query.token)
    return make_response(render_template("verify.html", token=query.token))


@blueprint.post("/verify")
@endpoint(
    Spec(
        summary="Use a sign-in link, from the page or a client",
        body=schemas.SignInToken,
        body_example=schemas.USE_EXAMPLE,
        data=schemas.SessionInfo,
        example=schemas.SESSION_EXAMPLE,
        signed_in=False,
        errors=(400, 401, 403, 415, 503),
        form=True,
    )
)
def verify(body: schemas.SignInToken) -> Response:
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise AuthorizationError(
            "Another site cannot sign you in. Open the link from the mail yourself.", code="CROSS_SITE"
        )
    return _start_session(body.token)


@blueprint.delete("/logout")
@endpoint(
    Spec(
        summary="End the session",
        data=schemas.SignedOut,
        example={"signed_out": True},
        errors=(401, 403, 503),
    )
)
def logout(member: Member) -> Response:
    platform().members.end_session(g.session)
    return session.end(success(schemas.SignedOut()))


def _start_session(token: str) -> Response:
    member, session_id = sign_in.redeem(platform().members, token, session.lifetime_s(settings()))
    _open_account(member)
    signed, csrf = session.token_of(member, session_id)
    if _wants_json():
        answer = success(
            schemas.SessionInfo(
                account=member.account,
                email=member.email,
                display_name=member.display_name,
                role=member.role,
                csrf_token=csrf,
                expires_in_s=session.lifetime_s(settings()),
            )
        )
    else:
        answer = make_response(render_template("signed_in.html", member=member))
    return session.start(answer, member, signed)


def _open_account(member: Member) -> None:
    """Open the engine account of a new member. If that fails now, their first request does it."""
    try:
        if not accounts.is_open(platform().account_reader, member.account):
            trading.open_account(platform().gateway, member.account)
    except AppError as error:
        _log.warning("account_not_opened_yet", account=member.account, error=error.message)


def _wants_json() -> bool:
    """JSON only if the client asks for it: `*/*` may be a program that opens every link in a mail."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
