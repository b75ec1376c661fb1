"""A mail queue that sends nothing."""

from paceline.core.errors import TransientError
from paceline.ports.notifications import Mail


class FakeMailQueue:
    """Keeps up to `capacity` mails in `waiting`."""

    def __init__(self, capacity: int = 100) -> None:
        self.waiting: list[Mail] = []
        self._capacity = capacity

    def put(self, mail: Mail, useful_s: int) -> None:
        if len(self.waiting) >= self._capacity:
            raise TransientError("The mail queue is full.")
        self.waiting.append(mail)
