"""Sending a message to a person, over any channel."""

from typing import Protocol

from msgspec import Struct


class Mail(Struct, frozen=True):
    """`key` identifies the message: sending a key twice must deliver the message once."""

    key: str
    to: str
    subject: str
    text: str
    html: str


class Notifier(Protocol):
    def send(self, mail: Mail) -> str:
        """Deliver `mail` and return the channel's id of it.

        Raises `TransientError` or `PermanentError` if the channel did not accept it, `UnknownError` if it may
        have.
        """
        ...


class MailQueue(Protocol):
    def put(self, mail: Mail, useful_s: int) -> None:
        """Accept `mail` for sending in the background, and return at once.

        It is dropped if it cannot be sent within `useful_s` seconds. `TransientError` if the queue is full.
        """
        ...
