"""The mails, oldest first. The oldest are deleted at `LIMIT`."""

import threading
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

LIMIT: Final = 1_000


class KeyReused(Exception):
    """An idempotency key is used again with a different mail."""


class Mailbox:
    """Mails as Resend shows them (`GET /emails/{id}`). Thread-safe; nothing is stored on disk."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._mails: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._keys: OrderedDict[str, tuple[str, dict[str, Any]]] = OrderedDict()

    def add(self, sent: dict[str, Any], key: str | None) -> str:
        """Store a mail and return its id. A repeated `key` returns the id of the first mail."""
        with self._lock:
            if key is not None and key in self._keys:
                id, first = self._keys[key]
                if first != sent:
                    raise KeyReused
                return id
            id = str(uuid4())
            self._mails[id] = _resend_form(id, sent)
            if key is not None:
                self._keys[key] = (id, sent)
            for bounded in (self._mails, self._keys):
                while len(bounded) > self._limit:
                    bounded.popitem(last=False)
            return id

    def get(self, id: str) -> dict[str, Any] | None:
        with self._lock:
            return self._mails.get(id)

    def newest_first(self, to: str | None = None) -> list[dict[str, Any]]:
        """All mails, or those to one address."""
        with self._lock:
            mails = list(reversed(self._mails.values()))
        return [mail for mail in mails if to is None or to.lower() in (one.lower() for one in mail["to"])]


def _resend_form(id: str, sent: dict[str, Any]) -> dict[str, Any]:
    def as_list(name: str) -> list[str]:
        value = sent.get(name) or []
        return [value] if isinstance(value, str) else list(value)

    return {
        "object": "email",
        "id": id,
        "message_id": f"<{id}@mailbox.sandbox>",
        "to": as_list("to"),
        "from": sent["from"],
        "created_at": datetime.now(UTC).isoformat(sep=" ").replace("+00:00", "+00"),
        "subject": sent["subject"],
        "html": sent.get("html"),
        "text": sent.get("text"),
        "bcc": as_list("bcc"),
        "cc": as_list("cc"),
        "reply_to": as_list("reply_to"),
        "last_event": "delivered",
    }
