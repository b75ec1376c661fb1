"""The mails, newest last; the oldest are forgotten."""

import threading
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

LIMIT: Final = 1_000


class KeyReused(Exception):
    """An idempotency key came with another mail than before."""


class Mailbox:
    """Mails as Resend shows them (`GET /emails/{id}`). Safe for threads; nothing is kept on disk."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._mails: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._keys: OrderedDict[str, tuple[str, dict[str, Any]]] = OrderedDict()

    def add(self, sent: dict[str, Any], key: str | None) -> str:
        """Keep a mail and return its id; a repeated `key` returns the first one's."""
        with self._lock:
            if key is not None and key in self._keys:
                id, first = self._keys[key]
                if first != sent:
                    raise KeyReused
                return id
            id = str(uuid4())
            self._mails[id] = _as_resend_shows(id, sent)
            if key is not None:
                self._keys[key] = (id, sent)
            for kept in (self._mails, self._keys):
                while len(kept) > self._limit:
                    kept.popitem(last=False)
            return id

    def get(self, id: str) -> dict[str, Any] | None:
        with self._lock:
            return self._mails.get(id)

    def newest_first(self, to: str | None = None) -> list[dict[str, Any]]:
        """All mails, or those to one address."""
        with self._lock:
            mails = list(reversed(self._mails.values()))
        return [mail for mail in mails if to is None or to.lower() in (one.lower() for one in mail["to"])]


def _as_resend_shows(id: str, sent: dict[str, Any]) -> dict[str, Any]:
    def listed(name: str) -> list[str]:
        value = sent.get(name) or []
        return [value] if isinstance(value, str) else list(value)

    return {
        "object": "email",
        "id": id,
        "message_id": f"<{id}@mailbox.sandbox>",
        "to": listed("to"),
        "from": sent["from"],
        "created_at": datetime.now(UTC).isoformat(sep=" ").replace("+00:00", "+00"),
        "subject": sent["subject"],
        "html": sent.get("html"),
        "text": sent.get("text"),
        "bcc": listed("bcc"),
        "cc": listed("cc"),
        "reply_to": listed("reply_to"),
        "last_event": "delivered",
    }
