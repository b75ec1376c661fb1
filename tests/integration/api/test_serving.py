"""The API as a separate process, as `paceline api` runs it, with the sandbox mailbox."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from paceline.local.processes.ports import free_port
from tests.support.api_stack import BTC, Stack, eventually, start_command, stop
from tests.support.frozen import freeze, unfreeze

_MAX_REQUESTS = 3  # of which a member may have one


@pytest.fixture
def served(stack: Stack, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    port = free_port()
    changes = {"PACELINE_API_PORT": str(port), "PACELINE_API_REQUESTS": str(_MAX_REQUESTS)}
    child = start_command("api:api", "", stack.environ | changes, tmp_path)
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: healthy(url), within_s=30)
    [log] = tmp_path.glob("api-*.log")
    yield child, url, log
    stop(child)


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def is_port_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def test_sign_in_trade_and_logout_over_http(
    served: tuple[subprocess.Popen[bytes], str, Path], stack: Stack
) -> None:
    child, url, log = served
    email = "visitor@example.com"
    with httpx.Client(base_url=f"{url}/api/v1", headers={"Accept": "application/json"}) as client:
        assert client.post("/auth", json={"email": email}).status_code == 200
        mail = stack.new_mail(email, 0)
        link = f"{url}/api/v1/auth/verify?token={mail.token}"
        assert link in mail.text
        assert client.get(link).json()["data"] == {"email": email, "works_here": True}
        session = client.post("/auth/verify", json={"token": mail.token}).json()["data"]
        client.headers["X-CSRF-TOKEN"] = session["csrf_token"]
        trade = {"symbol": BTC, "side": "long", "margin": "100", "leverage": 10}
        opened = client.post("/trade/create", json=trade, headers={"X-Request-ID": "visit-1"})
        assert opened.status_code == 200, opened.text
        assert client.delete("/auth/logout").status_code == 200
        assert client.get("/account/balance").status_code == 401

    began = stop(child, within_s=10)
    assert began == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("request_id") == "visit-1"]
    assert (line["path"], line["status"], line["account"]) == (
        "/api/v1/trade/create",
        200,
        session["account"],
    )
    assert "token=" not in log.read_text()


def test_unusual_requests_over_http(served: tuple[subprocess.Popen[bytes], str, Path]) -> None:
    _, url, _ = served
    with httpx.Client(base_url=f"{url}/api/v1", headers={"Accept": "application/json"}) as client:
        long = b'{"email": "' + b"a" * 40_000 + b'"}'
        headers = {"Content-Type": "application/json"}
        assert client.post("/auth", content=long, headers=headers).status_code == 413
        in_parts = (long[start : start + 1000] for start in range(0, len(long), 1000))
        assert client.post("/auth", content=in_parts, headers=headers).status_code == 413
        in_parts = (part for part in (b'{"email":', b' "not one"}'))
        assert client.post("/auth", content=in_parts, headers=headers).status_code == 400
        assert client.get("/trade/instructions/a%2F%25%C3%A9%20x").status_code == 401
        assert client.get("/no/%FF/place").status_code == 404
        head = client.head("/trade/orders")
        assert (head.status_code, head.content) == (401, b"")


def test_requests_beyond_the_limit_get_503_at_once(
    served: tuple[subprocess.Popen[bytes], str, Path], stack: Stack
) -> None:
    """With a frozen engine, requests take until the timeout. Further requests must not wait for them."""
    _, url, _ = served
    trade = {"symbol": BTC, "side": "long", "margin": "1", "leverage": 10}
    bound = {"expected_price": "69000", "max_slippage_bps": 100}
    with ExitStack() as opened:
        clients = [opened.enter_context(signed_in(url, stack)) for _ in range(2 * _MAX_REQUESTS)]
        freeze(stack.workers[0].pid)
        try:
            with ThreadPoolExecutor(2 * _MAX_REQUESTS) as pool:
                asked = [pool.submit(one.post, "/trade/create", json=trade | bound) for one in clients]
                answers = [future.result(10) for future in asked]
        finally:
            unfreeze(stack.workers[0].pid)
    assert sorted(answer.status_code for answer in answers) == [202] * _MAX_REQUESTS + [503] * _MAX_REQUESTS
    for answer in answers:
        if answer.status_code == 503:
            assert (answer.json()["error"]["code"], answer.headers["Retry-After"]) == ("BUSY", "1")
            assert answer.elapsed.total_seconds() < stack.settings.reply_timeout_ms / 1000


@contextmanager
def signed_in(url: str, stack: Stack) -> Iterator[httpx.Client]:
    """A new member whose account is open."""
    email = f"{uuid4().hex[:12]}@example.com"
    with httpx.Client(base_url=f"{url}/api/v1", headers={"Accept": "application/json"}) as client:
        assert client.post("/auth", json={"email": email}).status_code == 200
        session = client.post("/auth/verify", json={"token": stack.new_mail(email, 0).token})
        client.headers["X-CSRF-TOKEN"] = session.json()["data"]["csrf_token"]
        assert client.post("/trade/close", json={"trade": "0:0:0"}).status_code == 422
        yield client


def test_a_killed_server_has_no_child_processes_and_frees_the_port(
    served: tuple[subprocess.Popen[bytes], str, Path],
) -> None:
    child, url, _ = served
    assert not psutil.Process(child.pid).children()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    eventually(lambda: is_port_free(int(url.rpartition(":")[2])))
