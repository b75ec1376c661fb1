"""Sign-in links, sessions, cookies, CSRF protection and rate limits."""

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from uuid import uuid4

import jwt
import psycopg
import pytest
import redis
from flask import Flask

from api import close, create_app
from api.http.context import platform
from paceline.adapters.notify.mail_queue import BackgroundMailQueue
from paceline.adapters.runtime.awaiting import pause
from paceline.core.errors import UnknownError, ValidationError
from paceline.core.secret import Secret
from paceline.ports.notifications import Mail
from tests.support.api_stack import Member, Stack, ask, sign_in
from tests.support.fakes.notifications.mail_queue import FakeMailQueue

JSON = {"Accept": "application/json"}
# Accept headers of a browser, and of mail scanners and curl.
BROWSERS = ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", "", "application/xml"]


@pytest.fixture
def email() -> str:
    return f"{uuid4().hex[:12]}@example.com"


def test_the_answer_does_not_show_whether_the_address_is_known(app: Flask, member: Member) -> None:
    client = app.test_client()
    known = client.post("/api/v1/auth", json={"email": member.email})
    unknown = client.post("/api/v1/auth", json={"email": "unknown-address@example.com"})
    assert known.status_code == unknown.status_code == 200
    assert known.json["data"] == unknown.json["data"]
    assert {name for name, _ in known.headers} == {name for name, _ in unknown.headers}


def test_only_hashes_of_token_code_and_browser_are_stored(app: Flask, stack: Stack, email: str) -> None:
    client = app.test_client()
    mail = ask(client, stack, email)
    cookie = client.get_cookie("paceline_sign_in", path="/api/v1/auth")
    assert cookie is not None
    with psycopg.connect(stack.settings.database_url) as connection:
        rows = connection.execute("select m::text from community.magic_links as m where email = %s", (email,))
        [(row,)] = rows.fetchall()
    for secret in (mail.token, mail.code, mail.code.replace(" ", ""), cookie.value):
        assert secret not in row
        assert secret.encode().hex() not in row
        # The hash of the code alone would be found by trying 10⁸ codes.
        assert (sha256(secret.encode()).hexdigest() in row) == (secret in (mail.token, cookie.value))


@pytest.mark.parametrize("accept", BROWSERS)
def test_opening_a_link_does_not_redeem_it(app: Flask, stack: Stack, email: str, accept: str) -> None:
    client = app.test_client()
    token = ask(client, stack, email).token
    for _ in range(2):
        page = client.get(f"/api/v1/auth/verify?token={token}", headers={"Accept": accept})
        assert page.status_code == 200
        assert page.mimetype == "text/html"
        assert token in page.text
        assert email in page.text
        assert "Set-Cookie" not in page.headers
    signed_in = client.post("/api/v1/auth/verify", data={"token": token}, headers={"Accept": BROWSERS[0]})
    assert signed_in.status_code == 200
    assert "You are signed in" in signed_in.text
    assert client.get("/api/v1/account/balance/usd").status_code == 200


@pytest.mark.parametrize("headers", [JSON, {"Accept": BROWSERS[0]}])
def test_head_neither_redeems_a_link_nor_shows_it(
    app: Flask, stack: Stack, email: str, headers: dict[str, str]
) -> None:
    client = app.test_client()
    token = ask(client, stack, email).token
    head = client.head(f"/api/v1/auth/verify?token={token}", headers=headers)
    assert (head.status_code, head.data) == (200, b"")
    assert "Set-Cookie" not in head.headers
    assert client.post("/api/v1/auth/verify", json={"token": token}).status_code == 200


def test_a_program_that_looks_at_a_link_gets_its_address(app: Flask, stack: Stack, email: str) -> None:
    client = app.test_client()
    path = f"/api/v1/auth/verify?token={ask(client, stack, email).token}"
    assert client.get(path, headers=JSON).json["data"] == {"email": email, "works_here": True}
    elsewhere = app.test_client().get(path, headers=JSON)
    assert elsewhere.json["data"] == {"email": f"{email[0]}…@example.com", "works_here": False}


def test_a_link_signs_in_only_in_the_browser_that_requested_it(app: Flask, stack: Stack, email: str) -> None:
    client, other = app.test_client(), app.test_client()
    token = ask(client, stack, email).token
    ask(other, stack, f"x{email}")
    for stranger in (app.test_client(), other):
        page = stranger.get(f"/api/v1/auth/verify?token={token}", headers={"Accept": BROWSERS[0]})
        assert "belongs to another browser" in page.text
        assert email not in page.text
        assert token not in page.text
        refused = stranger.post("/api/v1/auth/verify", json={"token": token})
        assert (refused.status_code, refused.json["error"]["code"]) == (403, "OTHER_BROWSER")
        assert "Set-Cookie" not in refused.headers
        form = stranger.post("/api/v1/auth/verify", data={"token": token}, headers={"Accept": BROWSERS[0]})
        assert (form.status_code, form.mimetype) == (403, "text/html")
    assert client.post("/api/v1/auth/verify", json={"token": token}).status_code == 200


def test_the_code_signs_in_the_browser_that_requested_the_mail(app: Flask, stack: Stack, email: str) -> None:
    """The mail is read on another device: the person types its code on the page that requested it."""
    client = app.test_client()
    accept = {"Accept": BROWSERS[0]}
    assert 'name="email"' in client.get("/sign-in").text
    page = client.post("/api/v1/auth", data={"email": email}, headers=accept)
    assert 'name="code"' in page.text
    assert email in page.text
    proof = {"email": email.upper(), "code": stack.new_mail(email, 0).code}
    refused = app.test_client().post("/api/v1/auth/verify", data=proof, headers=accept)
    assert (refused.status_code, refused.mimetype) == (403, "text/html")
    signed_in = client.post("/api/v1/auth/verify", data=proof, headers=accept)
    assert "You are signed in" in signed_in.text
    assert client.get("/api/v1/account/balance/usd").status_code == 200
    assert client.get_cookie("paceline_sign_in", path="/api/v1/auth") is None


def test_a_link_accepts_five_wrong_codes(app: Flask, stack: Stack, email: str) -> None:
    client = app.test_client()
    mail = ask(client, stack, email)
    right = mail.code.replace(" ", "")
    wrong = f"{(int(right) + 1) % 10**8:08}"
    for code in [wrong] * 5 + [right]:
        refused = client.post("/api/v1/auth/verify", json={"email": email, "code": code})
        assert (refused.status_code, refused.json["error"]["code"]) == (401, "CODE_INVALID")
    assert client.post("/api/v1/auth/verify", json={"token": mail.token}).status_code == 200


def test_a_link_works_once_and_ends_the_other_links_of_its_address(
    app: Flask, stack: Stack, email: str
) -> None:
    client, elsewhere = app.test_client(), app.test_client()
    sibling, mail = ask(elsewhere, stack, email), ask(client, stack, email)
    assert client.post("/api/v1/auth/verify", json={"token": mail.token}).status_code == 200
    for browser, token in ((client, mail.token), (elsewhere, sibling.token)):
        again = browser.post("/api/v1/auth/verify", json={"token": token})
        assert (again.status_code, again.json["error"]["code"]) == (401, "LINK_INVALID")
        assert "access_token_cookie" not in again.headers.get("Set-Cookie", "")
    page = client.get(f"/api/v1/auth/verify?token={mail.token}", headers={"Accept": BROWSERS[0]})
    assert (page.status_code, page.mimetype) == (401, "text/html")


def test_a_link_has_the_lifetime_of_the_setting(app: Flask, stack: Stack, email: str) -> None:
    ask(app.test_client(), stack, email)
    with psycopg.connect(stack.settings.database_url) as connection:
        [(lifetime,)] = connection.execute(
            "select extract(epoch from expires_at - created_at) from community.magic_links where email = %s",
            (email,),
        ).fetchall()
    assert lifetime == stack.settings.magic_link_minutes * 60


def test_a_new_member_gets_the_requested_name_and_keeps_it(app: Flask, stack: Stack, email: str) -> None:
    sign_in(app, stack, email, "Ada")
    client = app.test_client()
    known = len(stack.mail_to(email))
    client.post("/api/v1/auth", json={"email": email.upper(), "display_name": "Mallory"})
    token = stack.new_mail(email, known).token
    session = client.post("/api/v1/auth/verify", json={"token": token})
    assert session.json["data"]["display_name"] == "Ada"


def test_an_account_is_twenty_hex_characters_and_does_not_change(
    app: Flask, stack: Stack, email: str
) -> None:
    first, second = sign_in(app, stack, email), sign_in(app, stack, email)
    assert first.account == second.account
    assert len(first.account) == 20
    assert set(first.account) <= set("0123456789abcdef")
    assert second.get("/account/balance/usd").json["data"]["cash"] == "5000"


def test_cookies_are_http_only_and_same_site(app: Flask, stack: Stack, email: str) -> None:
    client = app.test_client()
    token = ask(client, stack, email).token
    answer = client.post("/api/v1/auth/verify", json={"token": token})
    session, csrf, forgotten = sorted(answer.headers.getlist("Set-Cookie"))
    assert forgotten.startswith("paceline_sign_in=;")
    assert session.startswith("access_token_cookie=")
    for part in ("HttpOnly", "SameSite=Lax", "Max-Age=604800", "Path=/"):
        assert part in session
    assert "HttpOnly" not in csrf
    assert "Secure" not in session + csrf  # loopback


def test_logout_is_final_even_when_redis_is_flushed(
    app: Flask, stack: Stack, newcomer: Callable[..., Member]
) -> None:
    member = newcomer()
    stolen = app.test_client()
    for name in ("access_token_cookie", "csrf_access_token"):
        cookie = member.client.get_cookie(name)
        assert cookie is not None
        stolen.set_cookie(name, cookie.value)
    assert stolen.get("/api/v1/account/balance/usd").status_code == 200

    answer = member.delete("/auth/logout")
    assert (answer.status_code, answer.json["data"]) == (200, {"signed_out": True})
    assert member.client.get_cookie("access_token_cookie") is None
    with redis.Redis.from_url(stack.settings.cache_url) as client:
        client.flushall()
    after = stolen.get("/api/v1/account/balance/usd")
    assert (after.status_code, after.json["error"]["code"]) == (401, "SESSION_ENDED")


def test_logout_does_not_end_other_sessions(app: Flask, stack: Stack, email: str) -> None:
    first, second = sign_in(app, stack, email), sign_in(app, stack, email)
    assert first.delete("/auth/logout").status_code == 200
    assert second.get("/account/balance/usd").status_code == 200


@pytest.mark.parametrize("csrf", [{}, {"X-CSRF-TOKEN": ""}, {"X-CSRF-TOKEN": str(uuid4())}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/trade/create"),
        ("post", "/trade/close"),
        ("post", "/trade/order"),
        ("post", "/trade/amend"),
        ("post", "/trade/cancel"),
        ("delete", "/auth/logout"),
    ],
)
def test_changes_require_the_csrf_header(
    member: Member, method: str, path: str, csrf: dict[str, str]
) -> None:
    answer = getattr(member.client, method)(f"/api/v1{path}", json={}, headers=csrf)
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "CSRF_FAILED")
    assert member.get("/account/balance/usd").status_code == 200


def test_a_cross_site_sign_in_is_rejected(app: Flask, stack: Stack, email: str) -> None:
    client = app.test_client()
    token = ask(client, stack, email).token
    for path, data in (("/api/v1/auth/verify", {"token": token}), ("/api/v1/auth", {"email": email})):
        answer = client.post(path, data=data, headers={"Sec-Fetch-Site": "cross-site"})
        assert (answer.status_code, answer.json["error"]["code"]) == (403, "CROSS_SITE")


def test_forged_and_foreign_tokens_are_refused(app: Flask, stack: Stack, member: Member) -> None:
    cookie = member.client.get_cookie("access_token_cookie")
    assert cookie is not None
    claims = jwt.decode(cookie.value, options={"verify_signature": False})
    secret = stack.settings.jwt_secret.reveal()
    forged = [
        jwt.encode(claims, "another secret" * 4, algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims | {"jti": str(uuid4())}, secret, algorithm="HS256"),
        jwt.encode(claims | {"jti": "no uuid"}, secret, algorithm="HS256"),
        jwt.encode(claims | {"exp": int(time.time()) - 1}, secret, algorithm="HS256"),
        jwt.encode({**claims, "type": "refresh"}, secret, algorithm="HS256"),
        "nonsense",
        cookie.value[:-3] + "AAA",
    ]
    for token in forged:
        client = app.test_client()
        client.set_cookie("access_token_cookie", token)
        assert client.get("/api/v1/account/balance/usd").status_code == 401, token


def test_the_cookie_of_the_requesting_browser_is_short_lived(app: Flask, stack: Stack, email: str) -> None:
    answer = app.test_client().post("/api/v1/auth", json={"email": email})
    [cookie] = answer.headers.getlist("Set-Cookie")
    lifetime_s = stack.settings.magic_link_minutes * 60
    for part in ("HttpOnly", "SameSite=Lax", f"Max-Age={lifetime_s}", "Path=/api/v1/auth"):
        assert part in cookie


class Stalled:
    """A notifier that answers after a second, with an error first."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.failed = False

    def send(self, mail: Mail) -> str:
        pause(1)
        if not self.failed:
            self.failed = True
            raise UnknownError("The mail service does not answer.")
        self.mails.append(mail)
        return "sent"


def test_a_request_does_not_wait_for_the_mail_service(app: Flask, stack: Stack, email: str) -> None:
    stalled = Stalled()
    mails = BackgroundMailQueue(stalled)
    with app.app_context():
        other = create_app(stack.settings, replace(platform(), mails=mails, close=mails.close))
    began = time.monotonic()
    assert other.test_client().post("/api/v1/auth", json={"email": email}).status_code == 200
    assert time.monotonic() - began < 0.9
    assert stalled.mails == []
    close(other)
    assert [mail.to for mail in stalled.mails] == [email]


def test_a_full_mail_queue_answers_503(app: Flask, stack: Stack, email: str) -> None:
    with app.app_context():
        full = FakeMailQueue(capacity=0)
        other = create_app(stack.settings, replace(platform(), mails=full, close=lambda: None))
    answer = other.test_client().post("/api/v1/auth", json={"email": email})
    close(other)
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "UNAVAILABLE")


def test_one_address_gets_five_mails_for_a_mailbox_in_ten_minutes(app: Flask, email: str) -> None:
    client = app.test_client()
    local, _, domain = email.partition("@")
    found = [
        client.post("/api/v1/auth", json={"email": f"{local}+{number}@{domain}"}).status_code
        for number in range(5)
    ]
    assert found == [200] * 5
    refused = client.post("/api/v1/auth", json={"email": email.upper()})
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["Retry-After"]) <= 601


def test_a_stranger_cannot_lock_a_person_out(app: Flask, stack: Stack, email: str) -> None:
    """The stranger's address uses up its mails. The person's address does not, and their link still works."""
    client = app.test_client()
    sent_before = ask(client, stack, email).token
    found = [
        app.test_client()
        .post("/api/v1/auth", json={"email": email}, environ_base={"REMOTE_ADDR": "203.0.113.66"})
        .status_code
        for _ in range(40)
    ]
    assert found == [200] * 5 + [429] * 35
    assert client.post("/api/v1/auth", json={"email": email}).status_code == 200
    assert client.post("/api/v1/auth/verify", json={"token": sent_before}).status_code == 200


def test_a_mailbox_gets_thirty_mails_in_ten_minutes(app: Flask, email: str) -> None:
    found = [
        app.test_client()
        .post(
            "/api/v1/auth",
            json={"email": email},
            environ_base={"REMOTE_ADDR": f"2001:db8:0:{number // 5:x}::{number:x}"},
        )
        .status_code
        for number in range(31)
    ]
    assert found == [200] * 30 + [429]


def test_a_short_jwt_secret_is_refused_at_start(stack: Stack) -> None:
    with pytest.raises(ValidationError, match="at least 32 characters"):
        create_app(replace(stack.settings, jwt_secret=Secret("short")))
