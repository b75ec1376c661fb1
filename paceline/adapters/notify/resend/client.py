"""Mail through Resend's API (`POST /emails`). Its `Idempotency-Key` makes a repeat within 24 h safe."""

from typing import Final

import httpx

from paceline.adapters.runtime.awaiting import wait_for
from paceline.core.errors import PermanentError, TransientError, UnknownError, UpstreamError
from paceline.ports.notifications import Mail

ATTEMPTS: Final = 3
_FIRST_PAUSE_S: Final = 0.4
_LONGEST_PAUSE_S: Final = 0.8
_MAX_RETRY_AFTER_S: Final = 60


class ResendNotifier:
    def __init__(self, url: str, api_key: str, sender: str, timeout_s: float = 5.0) -> None:
        self._sender = sender
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key or 're_sandbox'}", "User-Agent": "paceline"},
            timeout=timeout_s,
            follow_redirects=False,
        )

    def send(self, mail: Mail) -> str:
        return wait_for(self._send(mail))

    def close(self) -> None:
        wait_for(self._client.aclose())

    async def _send(self, mail: Mail) -> str:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        return await AsyncRetrying(
            retry=retry_if_exception(_can_be_repeated),
            wait=wait_random_exponential(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, min=_FIRST_PAUSE_S / 2),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )(self._send_once, mail)

    async def _send_once(self, mail: Mail) -> str:
        body = {
            "from": self._sender,
            "to": [mail.to],
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
        }
        try:
            response = await self._client.post("/emails", json=body, headers={"Idempotency-Key": mail.key})
        except httpx.ConnectError as error:
            raise TransientError("The mail service cannot be reached.") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnknownError("The mail service does not answer.") from error
        if response.is_success:
            return _id_in(response)
        raise _failure(response)


def _can_be_repeated(error: BaseException) -> bool:
    """Whether to repeat within the request: not if Resend asks for a pause that is too long for one."""
    return isinstance(error, UnknownError) or (isinstance(error, TransientError) and error.retry_after_s <= 1)


def _id_in(response: httpx.Response) -> str:
    try:
        return str(response.json()["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnknownError("The mail service returns an answer that cannot be read.") from error


def _failure(response: httpx.Response) -> UpstreamError:
    """Resend's errors are `{"statusCode", "name", "message"}`; a 5xx may have sent it, a 429 has not."""
    details = {"status": response.status_code, "reason": _reason_in(response)}
    if response.status_code == 429 or details["reason"] == "concurrent_idempotent_requests":
        wait = response.headers.get("retry-after", "")
        seconds = min(int(wait), _MAX_RETRY_AFTER_S) if wait.isascii() and wait.isdecimal() else 1
        return TransientError("The mail service is busy.", details=details, retry_after_s=max(1, seconds))
    if response.status_code >= 500:
        return UnknownError("The mail service reports an error.", details=details)
    return PermanentError("The mail service refuses the mail.", details=details)


def _reason_in(response: httpx.Response) -> str:
    try:
        return str(response.json()["name"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
