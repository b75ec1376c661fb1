"""Signing in by a mailed link, and out."""

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
        description="The answer is the same whether or not somebody has signed up with this address.",
        body=schemas.AskForLink,
        body_example=schemas.ASK_EXAMPLE,
        data=schemas.LinkSent,
        example=schemas.SENT_EXAMPLE,
        signed_in=False,
        errors=(400, 413, 415, 429, 502, 503),
    )
)
def ask(body: schemas.AskForLink) -> schemas.LinkSent:
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
        "whose button does it, so that programs which look at links in mails do not use them up.",
        query=schemas.UseLink,
        data=schemas.Session,
        example=schemas.SESSION_EXAMPLE,
        signed_in=False,
        errors=(400, 401, 503),
    )
)
def look(query: schemas.UseLink) -> Response:
    if _wants_json():
        return _begin(query.token)
    return make_response(render_template("verify.html", token=query.token))


@blueprint.post("/verify")
@endpoint(
    Spec(
        summary="Use a sign-in link, from the page or a client",
        body=schemas.UseLink,
        body_example=schemas.USE_EXAMPLE,
        data=schemas.Session,
        example=schemas.SESSION_EXAMPLE,
        signed_in=False,
        errors=(400, 401, 403, 415, 503),
        form=True,
    )
)
def verify(body: schemas.UseLink) -> Response:
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise AuthorizationError("Another site cannot sign you in.", code="CROSS_SITE")
    return _begin(body.token)


@blueprint.delete("/logout")
@endpoint(
    Spec(
        summary="End the session for good",
        data=schemas.SignedOut,
        example={"signed_out": True},
        errors=(401, 403, 503),
    )
)
def logout(member: Member) -> Response:
    platform().members.end_session(g.session)
    return session.end(success(schemas.SignedOut()))


def _begin(token: str) -> Response:
    member, session_id = sign_in.redeem(platform().members, token, session.lifetime_s(settings()))
    _open_account(member)
    signed, csrf = session.token_of(member, session_id)
    if _wants_json():
        answer = success(
            schemas.Session(
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
    """Open the engine account of a newcomer. If it cannot be done now, their first request does it."""
    try:
        if not accounts.is_open(platform().sight, member.account):
            trading.open_account(platform().desk, member.account)
    except AppError as error:
        _log.warning("account_not_opened_yet", account=member.account, error=error.message)


def _wants_json() -> bool:
    """Only who says so gets JSON: `*/*` may be a program that follows every link in a mail."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
