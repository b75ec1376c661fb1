"""The API on real servers with real stream services, and signed-in clients."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import redis
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.kafka.topics import ensure_topics
from paceline.core.connections import KafkaConnection
from paceline.core.money import format_decimal, parse_decimal
from paceline.local.processes.ports import free_port
from paceline.local.servers import server
from paceline.local.servers.kafka import LocalKafka
from paceline.local.servers.redis import LocalRedis
from paceline.messages.inbound import ConfigureMarket, Inbound, PriceUpdate
from paceline.settings import Settings, load
from sandbox.mailbox.app import create_app as create_mailbox
from tests.support.servers import ROLE_PASSWORDS

ROOT = Path(__file__).resolve().parents[2]
SHARDS = 2
BTC = "BTC_USDC_PERP"
_HOUR_US = 3_600_000_000


@dataclass
class Stack:
    """Servers, stream services and mailbox of a test session. `price` sets the price of a market."""

    settings: Settings
    environ: dict[str, str]
    redis_server: server.RunningServer
    kafka_server: server.RunningServer
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    update_id: int = 0

    def log(self, *messages: Inbound) -> None:
        """Append messages to the log of every shard, as the feed and operators do."""
        asyncio.run(self._log(messages))

    async def _log(self, messages: tuple[Inbound, ...]) -> None:
        async with EngineInWriter(self.settings.kafka) as log:
            for shard in range(SHARDS):
                await log.append(shard, messages)

    def price(self, bid: str, ask: str, symbol: str = BTC) -> None:
        """Write a price as the feed does: to the log, and to Redis as the last price."""
        self.update_id += 1
        now_us = time.time_ns() // 1000
        self.log(
            PriceUpdate(
                id=f"p{self.update_id}",
                time=now_us,
                symbol=symbol,
                bid=parse_decimal(bid),
                bid_quantity=10**8,
                ask=parse_decimal(ask),
                ask_quantity=10**8,
                update_id=self.update_id,
            )
        )
        with redis.Redis.from_url(self.settings.cache_url) as client:
            last = {"bid": bid, "ask": ask, "time_us": now_us, "update_id": self.update_id}
            client.hset(f"price:{symbol}", mapping=last)

    def configure(self, symbol: str = BTC, base: str = "BTC") -> None:
        self.log(
            ConfigureMarket(
                id=f"m-{symbol}",
                time=time.time_ns() // 1000,
                symbol=symbol,
                base=base,
                quantity_step=1_000,
                min_notional=5 * 10**8,
                max_leverage=100,
                maker_rate_bps=2,
                taker_rate_bps=5,
                maintenance_rate_bps=50,
                max_price_age_us=_HOUR_US,
            )
        )

    def mail_to(self, email: str) -> list[dict[str, Any]]:
        """Mails to an address with their bodies, newest first."""
        headers = {"Authorization": "Bearer re_test"}
        with httpx.Client(base_url=self.settings.mail_api_url, headers=headers) as client:
            listed = client.get("/emails", params={"to": email}).raise_for_status().json()["data"]
            return [client.get(f"/emails/{mail['id']}").raise_for_status().json() for mail in listed]

    def new_mail(self, email: str, known: int) -> "SignInMail":
        """The newest mail to an address, once there are more than `known`."""
        mails = eventually(lambda: (found := self.mail_to(email)) and len(found) > known and found)
        text = mails[0]["text"]
        token = re.search(r"token=([A-Za-z0-9_-]{43})", text)
        code = re.search(r"^([0-9]{4} [0-9]{4})$", text, re.MULTILINE)
        assert token is not None
        assert code is not None
        return SignInMail(token[1], code[1], text)


@dataclass(frozen=True)
class SignInMail:
    token: str
    code: str
    text: str


class Member:
    """A signed-in client. `post` and `delete` send the CSRF header."""

    def __init__(self, client: FlaskClient, session: dict[str, Any]) -> None:
        self.client = client
        self.account = session["account"]
        self.email = session["email"]
        self.csrf = {"X-CSRF-TOKEN": session["csrf_token"]}

    def post(self, path: str, body: Any, key: str | None = None) -> TestResponse:
        headers = self.csrf | ({"Idempotency-Key": key} if key is not None else {})
        return self.client.post(f"/api/v1{path}", json=body, headers=headers)

    def get(self, path: str) -> TestResponse:
        return self.client.get(f"/api/v1{path}")

    def delete(self, path: str) -> TestResponse:
        return self.client.delete(f"/api/v1{path}", headers=self.csrf)


def ask(client: FlaskClient, stack: Stack, email: str, **body: Any) -> SignInMail:
    """Request a sign-in mail in the browser `client`, and return it."""
    known = len(stack.mail_to(email))
    answer = client.post("/api/v1/auth", json={"email": email} | body)
    assert answer.status_code == 200, answer.text
    return stack.new_mail(email, known)


def sign_in(app: Flask, stack: Stack, email: str | None = None, name: str | None = None) -> Member:
    """Sign in with a mailed link and return the signed-in client."""
    email = email or f"{uuid4().hex[:12]}@example.com"
    client = app.test_client()
    mail = ask(client, stack, email, **({"display_name": name} if name else {}))
    answer = client.post("/api/v1/auth/verify", json={"token": mail.token})
    assert answer.status_code == 200, answer.text
    return Member(client, answer.json["data"])


@contextmanager
def running_stack(folder: Path, database_url: str) -> Iterator[Stack]:
    """Start own Kafka and Redis servers, the stream services, a mailbox and one market with a price."""
    kafka, cache = server.start(
        LocalKafka(folder / "kafka", free_port(), controller_port=free_port()),
        LocalRedis(folder / "redis", free_port()),
    )
    mailbox = make_server("127.0.0.1", free_port(), create_mailbox(), threaded=True)
    threading.Thread(target=mailbox.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    environ = {
        **ROLE_PASSWORDS,
        "PACELINE_VAR_DIR": str(folder / "var"),
        "PACELINE_POSTGRES_URL": database_url,
        "PACELINE_REDIS_URL": cache.url,
        "PACELINE_KAFKA_BOOTSTRAP": kafka.url,
        "PACELINE_MAILBOX_PORT": str(mailbox.server_port),
        "PACELINE_ENGINE_SHARDS": str(SHARDS),
        "PACELINE_JWT_SECRET": "only-for-tests-" + "x" * 32,
        "PACELINE_API_PORT": str(free_port()),
        "PACELINE_API_REQUESTS": "32",
        "PACELINE_ORDERS_PER_SECOND": "1000",
        "PACELINE_ORDERS_BURST": "1000",
        "PACELINE_SIGN_IN_RATE_PER_MINUTE": "1000",
    }
    stack = Stack(load(environ, folder), environ, cache, kafka)
    try:
        asyncio.run(ensure_topics(KafkaConnection(kafka.url), SHARDS))
        stack.workers.append(start_command("stream:stream", "engine,writer,router", environ, folder))
        stack.configure()
        stack.price("68983", "68983.1")
        with redis.Redis.from_url(cache.url) as client:
            eventually(lambda: client.exists("router:ready"), within_s=30)
        yield stack
    finally:
        for worker in stack.workers:
            stop(worker)
        mailbox.shutdown()
        mailbox.server_close()
        stack.redis_server.stop()
        stack.kafka_server.stop()


def start_command(
    where: str, argument: str, environ: dict[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    """Start a `paceline` command as a process. Its log goes to a file in `folder`."""
    module, name = where.split(":")
    call = f"{name}({argument!r})" if argument else f"{name}()"
    code = f"from paceline.commands.{module} import {name}; {call}"
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PACELINE_")}
    with (folder / f"{name}-{uuid4().hex[:4]}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=plain | environ | {"PYTHONPATH": str(ROOT)},
            cwd=folder,
            stdout=log,
            stderr=log,
        )


def stop(child: subprocess.Popen[bytes], within_s: float = 15) -> int:
    """Send SIGTERM, then SIGKILL after `within_s`; return the exit code."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        return child.wait(within_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def eventually(question: Any, within_s: float = 10.0) -> Any:
    """Call `question` until it returns a true value and return that value."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {within_s} s")


def times(amount: str, factor: int) -> str:
    """A decimal string times a whole number."""
    return format_decimal(parse_decimal(amount) * factor)
