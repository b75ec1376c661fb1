"""Members who send instructions at a fixed rate through the API, and a record of every answer they got."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Literal

import httpx
from msgspec import Struct

from paceline.core.errors import AppError
from paceline.drill.orders import Book, DrawnInstruction, Quote, draw_instruction, forget, take_answer
from paceline.settings import Settings
from sandbox.traders.api import ApiClient, ApiUnavailable, RequestRefused
from sandbox.traders.prices import PriceHistory

MEMBERS: Final = 24
_TIMEOUT_S: Final = 12.0  # longer than the longest pause
_RETRY_AFTER_S: Final = 1.0
_MAX_UNDER_WAY: Final = 300
_DOUBLE_CLICK_SHARE: Final = 0.05
_PRICES_EVERY_S: Final = 0.5
_NOT_FOUND: Final = ("TRADE_NOT_FOUND", "ORDER_NOT_FOUND")

Outcome = Literal["accepted", "rejected", "pending", "refused", "unreachable", "lost", "unknown", "wrong"]


# A final answer counts before an open one, whatever the order of the attempts.
_BY_RANK: Final[tuple[Outcome, ...]] = ("accepted", "rejected", "pending", "lost")


class Attempt(Struct, frozen=True):
    """The result of one request.

    accepted, rejected: the engine's answer (200, 422). pending: 202. refused: 503, certainly not done.
    unreachable: no connection could be made. lost: the connection broke, or no answer came in time.
    unknown: there is no such instruction (404, of a look-up only). wrong: anything else; no act of a drill
    may cause it.
    """

    outcome: Outcome
    status: int | None
    data: dict[str, Any]
    asked_us: int

    @property
    def final(self) -> bool:
        return self.outcome in ("accepted", "rejected")


class Sent(Struct):
    """An instruction and the result of each attempt; `looked_up` is the result of a later look-up."""

    key: str
    account: str
    kind: str
    path: str
    body: dict[str, Any]
    attempts: list[Attempt]
    looked_up: Attempt | None = None

    @property
    def outcome(self) -> Outcome:
        """The engine's answer if there is one, else that it is open, else the last outcome."""
        found = [one.outcome for one in self.attempts]
        return next((outcome for outcome in _BY_RANK if outcome in found), found[-1])


class Participant:
    """A signed-in member: account, session headers and book."""

    def __init__(self, member: ApiClient, account: str) -> None:
        self.member = member
        self.account = account
        cookies = "; ".join(f"{name}={value}" for name, value in member.session.cookies.items())
        self.headers = {"Cookie": cookies, "X-CSRF-TOKEN": member.session.csrf_token}
        self.book = Book()


class Load:
    """Open loop: each instruction is sent when it is due, whether or not earlier ones were answered."""

    def __init__(self, settings: Settings, seed: int, orders_hz: float) -> None:
        self._settings = settings
        self._seed = seed
        self._orders_hz = orders_hz
        self._draw = random.Random(f"orders:{seed}")
        self._client = httpx.AsyncClient(
            base_url=f"{settings.api_url}/api/v1",
            timeout=_TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
        )
        self._market = PriceHistory()
        self._stopped = asyncio.Event()
        self.participants: dict[str, Participant] = {}
        self.sent: list[Sent] = []
        self.held_back = 0  # not sent, because too many requests were under way
        self.answered_after_us = 0  # when the newest instruction that the engine has answered was sent

    async def sign_in(self) -> None:
        joined = await asyncio.gather(*map(self._join, range(MEMBERS)))
        self.participants = {participant.account: participant for participant in joined}

    async def _join(self, number: int) -> Participant:
        settings = self._settings
        email, name = f"drill-{self._seed}-{number}@example.com", f"Drill {number}"
        member = ApiClient(settings.api_url, settings.mail_api_url, email, name, None)
        account = (await member.get("/account/balance"))["account"]
        return Participant(member, account)

    async def run(self) -> None:
        """Send until `stop`; return once all requests under way have ended."""
        following = asyncio.create_task(self._follow_prices())
        under_way: set[asyncio.Task[None]] = set()
        began, number = time.monotonic(), 0
        try:
            while not self._stopped.is_set():
                number += 1
                await asyncio.sleep(max(0.0, began + number / self._orders_hz - time.monotonic()))
                participant = self.participants[self._draw.choice(list(self.participants))]
                quotes = self._quotes()
                if not quotes:
                    continue
                if len(under_way) >= _MAX_UNDER_WAY:
                    self.held_back += 1
                    continue
                wish = draw_instruction(self._draw, participant.book, quotes)
                twice = self._draw.random() < _DOUBLE_CLICK_SHARE
                key = f"drill-{self._seed}-{number}"
                task = asyncio.create_task(self._trade(participant, wish, key, twice))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)
        finally:
            following.cancel()

    async def _follow_prices(self) -> None:
        """Follow the prices through the API; while it is unavailable, the last ones stay in use."""
        member = next(iter(self.participants.values())).member
        while True:
            with suppress(ApiUnavailable, RequestRefused, httpx.HTTPError):
                assets = (await member.get("/account/assets"))["assets"]
                self._market.take(assets, asyncio.get_running_loop().time())
            await asyncio.sleep(_PRICES_EVERY_S)

    def stop(self) -> None:
        self._stopped.set()

    async def close(self) -> None:
        await self._client.aclose()
        for participant in self.participants.values():
            await participant.member.close()

    def outcomes(self) -> Counter[str]:
        """How many instructions ended how."""
        return Counter(sent.outcome for sent in self.sent)

    def newest_price_us(self) -> int:
        """Time of the newest price that the API has shown."""
        return max((asset["price_time"] or 0 for asset in self._market.assets.values()), default=0)

    def _quotes(self) -> dict[str, Quote]:
        quotes = {}
        for symbol, ticks in self._market.ticks.items():
            asset, tick = self._market.assets[symbol], ticks[-1]
            quotes[symbol] = Quote(
                symbol, asset["base"], Decimal(asset["quantity_step"]), Decimal(tick.bid), Decimal(tick.ask)
            )
        return quotes

    async def _trade(self, participant: Participant, wish: DrawnInstruction, key: str, twice: bool) -> None:
        """`twice` sends it twice, like a double click. A lost answer is asked for again. The key stays."""
        sent = Sent(key, participant.account, wish.kind, wish.path, dict(wish.body), [])
        sent.attempts += await asyncio.gather(*(self.ask(sent) for _ in range(1 + twice)))
        self.sent.append(sent)
        if sent.outcome == "lost":
            await asyncio.sleep(_RETRY_AFTER_S)
            sent.attempts.append(await self.ask(sent))
        final = next((attempt for attempt in sent.attempts if attempt.final), None)
        if final is None:
            return
        self.answered_after_us = max(self.answered_after_us, final.asked_us)
        if final.outcome == "accepted":
            take_answer(participant.book, wish, final.data)
        elif final.data["code"] in _NOT_FOUND:
            forget(participant.book, wish)

    async def ask(self, sent: Sent) -> Attempt:
        """One attempt at an instruction."""
        return await self._call("POST", f"/trade/{sent.path}", sent, sent.body)

    async def look_up(self, sent: Sent) -> Attempt:
        """What the API returns for an earlier instruction; `unknown` if it knows none."""
        return await self._call("GET", f"/trade/instructions/{sent.key}", sent, None)

    async def shown(self, account: str, path: str) -> dict[str, Any]:
        """What a member sees of their own account."""
        answer = await self._client.get(path, headers=self.participants[account].headers)
        if not answer.is_success:
            raise AppError(f"GET {path} returns {answer.status_code}: {answer.text[:300]}")
        return dict(answer.json()["data"])

    async def _call(self, method: str, path: str, sent: Sent, body: dict[str, Any] | None) -> Attempt:
        headers = {**self.participants[sent.account].headers, "Idempotency-Key": sent.key}
        asked_us = time.time_ns() // 1000
        try:
            answer = await self._client.request(method, path, json=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Attempt("unreachable", None, {"why": repr(error)}, asked_us)
        except httpx.TransportError as error:
            return Attempt("lost", None, {"why": repr(error)}, asked_us)
        return _attempt_from(answer, asked_us)


def _attempt_from(answer: httpx.Response, asked_us: int) -> Attempt:
    try:
        content = answer.json()
        data = content["data"] if answer.is_success else content["error"]
    except (ValueError, KeyError, TypeError):
        return Attempt("wrong", answer.status_code, {"text": answer.text[:300]}, asked_us)
    outcome: Outcome = "wrong"
    if answer.status_code == 200 and data.get("status") in ("accepted", "rejected"):
        outcome = data["status"]
    elif answer.status_code == 202:
        outcome = "pending"
    elif answer.status_code == 422 and "instruction" in data["details"]:
        outcome = "rejected"
    elif answer.status_code == 503:
        outcome = "refused"
    elif answer.status_code == 404 and answer.request.method == "GET":
        outcome = "unknown"
    return Attempt(outcome, answer.status_code, data, asked_us)
