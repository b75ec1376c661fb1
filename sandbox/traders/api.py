"""A client of the public API for one member: sign-in by mailed link, calls and their errors."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import httpx

_TOKEN: Final = re.compile(r"token=([A-Za-z0-9_-]{43})")
_MAIL_WAITS_S: Final = (0.2, 0.5, 1, 2, 4, 8)
_PENDING_WAITS_S: Final = (0.5, 1, 2, 4, 8)
_TIMEOUT_S: Final = 15.0
_LONGEST_WAIT_S: Final = 60.0


class ApiUnavailable(Exception):
    """The API or a server behind it is unavailable. `after_s` is the time to wait before a retry."""

    def __init__(self, why: str, after_s: float = 1.0) -> None:
        super().__init__(why)
        self.after_s = min(after_s, _LONGEST_WAIT_S)


class RequestRefused(Exception):
    """The API refuses the request."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code


@dataclass
class SavedSession:
    """Cookies, and the CSRF token that every change needs. Kept between runs."""

    cookies: dict[str, str] = field(default_factory=dict)
    csrf_token: str = ""


class ApiClient:
    """Calls for one e-mail address. It signs in if there is no session or the session has ended."""

    def __init__(
        self, api_url: str, mailbox_url: str, email: str, display_name: str, session: SavedSession | None
    ) -> None:
        self.email = email
        self.session = session or SavedSession()
        self._display_name = display_name
        self._mailbox_url = mailbox_url
        self._signing_in = asyncio.Lock()
        self._client = httpx.AsyncClient(
            base_url=f"{api_url}/api/v1",
            timeout=_TIMEOUT_S,
            trust_env=False,
            headers={"Accept": "application/json", "User-Agent": "paceline-demo-trader"},
            cookies=self.session.cookies,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str) -> Any:
        return await self._call_signed_in("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send an instruction and return the engine's answer. It polls if the answer is late.

        Every attempt has the same key, so that a retry after a lost answer is not executed twice.
        """
        data = await self._call_signed_in("POST", path, body, {"Idempotency-Key": f"demo-{uuid4().hex}"})
        if data.get("status") != "pending":
            return dict(data)
        for wait_s in _PENDING_WAITS_S:
            await asyncio.sleep(wait_s)
            answer = await self._call_signed_in("GET", f"/trade/instructions/{data['instruction']}", None)
            if answer.get("status") == "rejected":
                raise RequestRefused(422, str(answer.get("code")), str(answer.get("message")))
            if answer.get("status") == "accepted":
                return dict(answer)
        raise ApiUnavailable("the engine does not answer")

    async def _call_signed_in(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None
    ) -> Any:
        session = self.session
        if not session.csrf_token:
            session = await self._sign_in(session)
        try:
            return await self._call(method, path, body, headers)
        except RequestRefused as refused:
            if refused.status not in (401, 403):
                raise
        except httpx.TransportError:
            await asyncio.sleep(1)  # the answer was lost: ask again with the same key
            return await self._call(method, path, body, headers)
        await self._sign_in(session)
        return await self._call(method, path, body, headers)

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The `data` of a successful response. Raises `Refused` or `Away` otherwise."""
        with_token = {"X-CSRF-TOKEN": self.session.csrf_token, **(headers or {})}
        answer = await self._client.request(method, path, json=body, headers=with_token)
        if answer.is_success:
            return answer.json()["data"]
        if answer.status_code == 429 or answer.status_code >= 500:
            after = answer.headers.get("Retry-After", "")
            raise ApiUnavailable(f"{path}: {answer.status_code}", float(after) if after.isdecimal() else 2.0)
        try:
            error = answer.json()["error"]
            raise RequestRefused(answer.status_code, str(error["code"]), str(error["message"]))
        except (ValueError, KeyError, TypeError):
            raise ApiUnavailable(f"{path}: {answer.status_code} without a reason") from None

    async def _sign_in(self, ended: SavedSession) -> SavedSession:
        """Request a link, find it in the mailbox, use it. Skipped if another call has replaced `ended`."""
        async with self._signing_in:
            if self.session is not ended:
                return self.session
            self._client.cookies.clear()
            known = {mail["id"] for mail in await self._mails()}
            await self._call("POST", "/auth", {"email": self.email, "display_name": self._display_name})
            token = await self._mailed_token(known)
            data = await self._call("POST", "/auth/verify", {"token": token})
            self.session = SavedSession(dict(self._client.cookies), str(data["csrf_token"]))
            return self.session

    async def _mailed_token(self, known: set[str]) -> str:
        for wait_s in _MAIL_WAITS_S:
            for mail in await self._mails():
                if mail["id"] not in known:
                    full_mail = await self._mailbox(f"/emails/{mail['id']}")
                    found = _TOKEN.search(f"{full_mail.get('text')} {full_mail.get('html')}")
                    if found is not None:
                        return found[1]
            await asyncio.sleep(wait_s)
        raise ApiUnavailable("the sign-in mail has not arrived")

    async def _mails(self) -> list[dict[str, Any]]:
        return list((await self._mailbox("/emails", to=self.email))["data"])

    async def _mailbox(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self._client.get(
            f"{self._mailbox_url}{path}", params=query, headers={"Authorization": "Bearer sandbox"}
        )
        if not answer.is_success:
            raise ApiUnavailable(f"mailbox {path}: {answer.status_code}")
        return dict(answer.json())
