"""Client address and scheme behind reverse proxies."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
from flask import Flask

from api.http import session
from api.http.bridge import WsgiBridge
from api.http.middleware import RequestMiddleware
from api.http.serve import server_config
from paceline.settings import load


def client_app(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]


def answer(trusted: tuple[str, ...], peer: str, headers: dict[str, str]) -> httpx.Response:
    """The answer to one request that comes from the address `peer`."""

    async def ask() -> httpx.Response:
        bridge = WsgiBridge(RequestMiddleware(client_app), 1024, lambda: None)
        config = server_config(bridge, "127.0.0.1", 1, trusted)
        config.load()
        # The application as uvicorn calls it.
        transport = httpx.ASGITransport(app=config.loaded_app, client=(peer, 4711))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://paceline.example") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(ask())


FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


def test_a_trusted_proxy_gives_the_client_address_and_the_scheme() -> None:
    found = answer(("10.0.0.0/8",), "10.0.0.5", FORWARDED)
    assert found.text == "https 203.0.113.7"
    assert found.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_an_address_that_the_client_adds_is_not_believed() -> None:
    found = answer(("10.0.0.5",), "10.0.0.5", {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})
    assert found.text == "http 203.0.113.7"


@pytest.mark.parametrize("trusted", [(), ("10.0.0.5",)])
def test_headers_of_other_addresses_have_no_effect(trusted: tuple[str, ...]) -> None:
    found = answer(trusted, "203.0.113.9", FORWARDED)
    assert found.text == "http 203.0.113.9"
    assert "Strict-Transport-Security" not in found.headers


@pytest.mark.parametrize(
    ("public_url", "scheme", "secure"),
    [
        ("", "http", False),
        ("", "https", True),
        ("https://paceline.example", "http", True),
        ("http://paceline.example", "http", False),
    ],
)
def test_cookies_are_secure_where_the_browser_uses_tls(
    tmp_path: Any, public_url: str, scheme: str, secure: bool
) -> None:
    app = Flask("test")
    app.extensions["paceline.settings"] = load({"PACELINE_PUBLIC_URL": public_url}, tmp_path)
    with app.test_request_context("/", base_url=f"{scheme}://paceline.example"):
        found = app.response_class()
        session.set_cookie(found, "name", "value", max_age=60)
    cookie = found.headers["Set-Cookie"]
    assert ("; Secure" in cookie) == secure
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
