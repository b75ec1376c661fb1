"""Sign-in by a mailed link or code, and sign-out."""

import structlog
from flask import Blueprint, Response, g, make_response, render_template, request

from api.auth import schemas
from api.http import security_events, session, sign_in_browser
from api.http.context import platform, settings
from api.http.endpoint import Spec, endpoint
from api.http.envelope import success
from api.http.limits import per_address, spend_mail
from paceline.core.errors import AppError, AuthenticationError, AuthorizationError
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
        summary="Send a sign-in link and a code by mail",
        description="The answer is the same for known and unknown addresses. It sets a cookie for this "
        "browser, in which alone the link and the code work.",
        body=schemas.SignInRequest,
        body_example=schemas.ASK_EXAMPLE,
        data=schemas.LinkSent,
        example=schemas.SENT_EXAMPLE,
        signed_in=False,
        cookie=sign_in_browser.PARAMETER,
        errors=(403, 429),
        form=True,
        html=(200,),
        sets_cookies=True,
    )
)
def ask(body: schemas.SignInRequest) -> Response:
    _refuse_cross_site()
    spend_mail(body.email)
    browser = sign_in_browser.known_or_new()
    sign_in.send_link(
        platform().members,
        platform().mails,
        email=body.email.lower(),
        display_name=body.display_name,
        browser=browser,
        verify_url=f"{settings().api_url}/api/v1/auth/verify",
        lifetime_min=settings().magic_link_minutes,
    )
    if _is_form():
        answer = make_response(render_template("code.html", email=body.email))
    else:
        answer = success(schemas.LinkSent(schemas.SENT_EXAMPLE["message"]))
    return sign_in_browser.remember(answer, browser)


@blueprint.get("/verify")
@per_address
@endpoint(
    Spec(
        summary="Look at a sign-in link, without using it",
        description="With `Accept: application/json` the answer names the address. A browser gets a page "
        "with a button that signs in. Programs that open the links in a mail do not use them up.",
        query=schemas.SignInToken,
        data=schemas.LinkInfo,
        example=schemas.LINK_EXAMPLE,
        signed_in=False,
        cookie=sign_in_browser.PARAMETER,
        errors=(401, 429),
        html=(200, 401),
    )
)
def look(query: schemas.SignInToken) -> Response:
    if request.method == "HEAD":
        return Response(mimetype="text/html")
    try:
        email, works_here = sign_in.look_up(platform().members, query.token, sign_in_browser.known())
    except AuthenticationError as error:
        return _failed(error)
    if _wants_json():
        return success(schemas.LinkInfo(email=email, works_here=works_here))
    page = "verify.html" if works_here else "other_browser.html"
    return make_response(render_template(page, token=query.token, email=email))


@blueprint.post("/verify")
@per_address
@endpoint(
    Spec(
        summary="Sign in with the token of a link, or with an address and a code",
        description="It works only with the cookie of the browser that requested the mail, and uses up all "
        "open links of the address. A link accepts five wrong codes.",
        body=schemas.SignInProof,
        body_example=schemas.USE_EXAMPLE,
        data=schemas.SessionInfo,
        example=schemas.SESSION_EXAMPLE,
        signed_in=False,
        cookie=sign_in_browser.PARAMETER,
        errors=(401, 403, 429),
        form=True,
        html=(200, 401, 403),
        sets_cookies=True,
    )
)
def verify(body: schemas.SignInProof) -> Response:
    _refuse_cross_site()
    members, browser = platform().members, sign_in_browser.known()
    lifetime_s = session.lifetime_s(settings())
    try:
        if body.token is not None:
            member, started = sign_in.redeem(members, body.token, browser, lifetime_s)
        else:
            email, code = (body.email or "").lower(), (body.code or "").replace(" ", "")
            member, started = sign_in.redeem_code(members, email, code, browser, lifetime_s)
    except (AuthenticationError, AuthorizationError) as error:
        security_events.record(
            "sign_in_failed", actor=security_events.ANONYMOUS, email=body.email, code=error.code
        )
        return _failed(error)
    security_events.record(
        "signed_in",
        actor=security_events.actor(member),
        account=member.account,
        proof="link" if body.token is not None else "code",
    )
    _open_account(member)
    signed, csrf = session.token_of(member, started)
    if _wants_page():
        answer = make_response(render_template("signed_in.html", member=member))
    else:
        answer = success(
            schemas.SessionInfo(
                account=member.account,
                email=member.email,
                display_name=member.display_name,
                role=member.role,
                csrf_token=csrf,
                expires_in_s=lifetime_s,
            )
        )
    return session.start(sign_in_browser.forget(answer), member, signed)


@blueprint.delete("/logout")
@endpoint(
    Spec(
        summary="End the session",
        data=schemas.SignedOut,
        example={"signed_out": True},
        sets_cookies=True,
    )
)
def logout(member: Member) -> Response:
    platform().members.end_session(member, g.session)
    security_events.record("signed_out", actor=security_events.actor(member), account=member.account)
    return session.end(success(schemas.SignedOut()))


def _refuse_cross_site() -> None:
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise AuthorizationError(
            "Another site cannot sign you in. Open the link from the mail yourself.", code="CROSS_SITE"
        )


def _failed(error: AuthenticationError | AuthorizationError) -> Response:
    """A page for a browser. A program gets the error."""
    if (request.method == "GET" and _wants_json()) or (request.method == "POST" and not _wants_page()):
        raise error
    return make_response(render_template("sign_in_failed.html", reason=error.message), error.status)


def _open_account(member: Member) -> None:
    """Open the engine account of a new member. If that fails now, their first request does it."""
    try:
        if not accounts.is_open(platform().account_reader, member.account):
            trading.open_account(platform().gateway, member.account)
    except AppError as error:
        _log.warning("account_not_opened_yet", account=member.account, error=error.message)


def _is_form() -> bool:
    return request.mimetype == "application/x-www-form-urlencoded"


def _wants_page() -> bool:
    return _is_form() and not _wants_json()


def _wants_json() -> bool:
    """JSON only if the client asks for it: `*/*` may be a program that opens every link in a mail."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
