"""Mail that is sent after the request which asks for it has been answered."""

from collections.abc import Sequence
from typing import Final

import structlog

from paceline.adapters.runtime.background import FINISH_S, BackgroundQueue
from paceline.core.errors import TransientError
from paceline.ports.notifications import Mail, Notifier

# A mail takes up to 16 s while the mail service stalls: 8 senders then send 30 mails a minute.
_CAPACITY: Final = 256
_SENDERS: Final = 8
_RETRY_AFTER_S: Final = 30

_log = structlog.get_logger()


class BackgroundMailQueue:
    """Sends through a notifier, several mails at a time."""

    def __init__(self, notifier: Notifier, capacity: int = _CAPACITY, finish_s: float = FINISH_S) -> None:
        self._notifier = notifier
        self._queue = BackgroundQueue[Mail](
            "mail", self._send, capacity=capacity, workers=_SENDERS, finish_s=finish_s
        )

    def put(self, mail: Mail, useful_s: int) -> None:
        if not self._queue.put(mail, useful_s):
            _log.error("mail_queue_full", capacity=_CAPACITY)
            raise TransientError(
                "Too many mails wait to be sent. Try again later.", retry_after_s=_RETRY_AFTER_S
            )

    def close(self) -> None:
        self._queue.close()

    def _send(self, mails: Sequence[Mail]) -> None:
        for mail in mails:
            self._notifier.send(mail)
