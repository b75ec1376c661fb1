"""Sign-in links, sessions, cookies, CSRF protection and rate limits."""

import time
from collections.abc import Callable
from uuid import uuid4

import jwt
import psycopg
import pytest
import redis
from flask import Flask

from api import close, create_app
from api.http.context import platform
from paceline.core.errors import PermanentError, TransientError, UnknownError, UpstreamError, ValidationError
from tests.support.api_stack import Member, Stack, sign_in

JSON = {"Accept": "application/json"}
# Accept headers of a browser, and of mail scanners and curl.
BROWSERS = ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", "", "application/xml"]


def ask(app: Flask, email: str, **body: object) -> None:
    answer = app.test_client().post("/api/v1/auth", json={"email": email} | body)
    assert answer.status_code == 200, answer.text


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


def test_only_the_hash_of_a_token_is_stored(app: Flask, stack: Stack, email: str) -> None:
    ask(app, email)
    token = stack.token_for(email)
    with psycopg.connect(stack.settings.database_url) as connection:
        rows = connection.execute("select m::text from community.magic_links as m where email = %s", (email,))
        [(row,)] = rows.fetchall()
    assert token not in row
    assert token.encode().hex() not in row


@pytest.mark.parametrize("accept", BROWSERS)
def test_opening_a_link_does_not_redeem_it(app: Flask, stack: Stack, email: str, accept: str) -> None:
    ask(app, email)
    token = stack.token_for(email)
    client = app.test_client()
    for _ in range(2):
        page = client.get(f"/api/v1/auth/verify?token={token}", headers={"Accept": accept})
        assert page.status_code == 200
        assert page.mimetype == "text/html"
        assert token in page.text
        assert "Set-Cookie" not in page.headers
    signed_in = client.post("/api/v1/auth/verify", data={"token": token}, headers={"Accept": BROWSERS[0]})
    assert signed_in.status_code == 200
    assert "You are signed in" in signed_in.text
    assert client.get("/api/v1/account/balance/usd").status_code == 200


def test_a_link_works_once(app: Flask, stack: Stack, email: str) -> None:
    ask(app, email)
    path = f"/api/v1/auth/verify?token={stack.token_for(email)}"
    assert app.test_client().get(path, headers=JSON).status_code == 200
    again = app.test_client().get(path, headers=JSON)
    assert (again.status_code, again.json["error"]["code"]) == (401, "LINK_INVALID")
    assert "Set-Cookie" not in again.headers


def test_a_link_has_the_lifetime_of_the_setting(app: Flask, stack: Stack, email: str) -> None:
    ask(app, email)
    with psycopg.connect(stack.settings.database_url) as connection:
        [(lifetime,)] = connection.execute(
            "select extract(epoch from expires_at - created_at) from community.magic_links where email = %s",
            (email,),
        ).fetchall()
    assert lifetime == stack.settings.magic_link_minutes * 60


def test_a_new_member_gets_the_requested_name_and_keeps_it(app: Flask, stack: Stack, email: str) -> None:
    sign_in(app, stack, email, "Ada")
    client = app.test_client()
    client.post("/api/v1/auth", json={"email": email.upper(), "display_name": "Mallory"})
    session = client.get(f"/api/v1/auth/verify?token={stack.token_for(email)}", headers=JSON)
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
    ask(app, email)
    answer = app.test_client().get(f"/api/v1/auth/verify?token={stack.token_for(email)}", headers=JSON)
    session, csrf = sorted(answer.headers.getlist("Set-Cookie"))
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
    ask(app, email)
    answer = app.test_client().post(
        "/api/v1/auth/verify",
        data={"token": stack.token_for(email)},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert (answer.status_code, answer.json["error"]["code"]) == (403, "CROSS_SITE")


def test_forged_and_foreign_tokens_are_refused(app: Flask, stack: Stack, member: Member) -> None:
    cookie = member.client.get_cookie("access_token_cookie")
    assert cookie is not None
    claims = jwt.decode(cookie.value, options={"verify_signature": False})
    secret = stack.settings.jwt_secret
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


class Failing:
    """A notifier that always fails."""

    def __init__(self, failure: UpstreamError) -> None:
        self.failure = failure

    def send(self, mail: object) -> str:
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (TransientError("The mail service is busy.", retry_after_s=7), 503),
        (PermanentError("The mail service refuses the mail."), 502),
        (UnknownError("The mail service does not answer."), 200),
    ],
)
def test_each_mail_failure_has_its_status(
    app: Flask, stack: Stack, email: str, failure: UpstreamError, status: int
) -> None:
    from dataclasses import replace

    with app.app_context():
        failing = create_app(
            stack.settings, replace(platform(), notifier=Failing(failure), close=lambda: None)
        )
    answer = failing.test_client().post("/api/v1/auth", json={"email": email})
    close(failing)
    assert answer.status_code == status
    if status == 503:
        assert answer.headers["Retry-After"] == "7"


def test_one_address_gets_five_mails_in_ten_minutes(app: Flask, stack: Stack, email: str) -> None:
    client = app.test_client()
    found = [client.post("/api/v1/auth", json={"email": email}).status_code for _ in range(6)]
    assert found == [200] * 5 + [429]
    refused = client.post("/api/v1/auth", json={"email": email.upper()})
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["Retry-After"]) <= 601
    assert len(stack.mail_to(email)) == 5


def test_a_short_jwt_secret_is_refused_at_start(stack: Stack) -> None:
    from dataclasses import replace

    with pytest.raises(ValidationError, match="at least 32 characters"):
        create_app(replace(stack.settings, jwt_secret="short"))
