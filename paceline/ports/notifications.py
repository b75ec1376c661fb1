"""How the platform reaches a person: one message out, whatever the channel."""

from typing import Protocol

from msgspec import Struct


class Mail(Struct, frozen=True):
    """`key` identifies the message: sending the same key again must not deliver it twice."""

    key: str
    to: str
    subject: str
    text: str
    html: str


class Notifier(Protocol):
    def send(self, mail: Mail) -> str:
        """Deliver `mail` and return the channel's id of it.

        Raises `TransientError` or `PermanentError` when it was certainly not taken, `UnknownError`
        when it may have been.
        """
        ...
