"""What was answered within the last 24 h of log time, so that an instruction sent twice is done once."""

from typing import Final

from paceline.engine.shelf import Shelf
from paceline.messages.outbound import OrderResponse

_REMEMBERED_US: Final = 24 * 3600 * 1_000_000
# At most so many old answers are forgotten per new one: memory stays bounded, and no message pays for a day.
_FORGET_AT_ONCE: Final = 4


def answer_key(account: str, instruction: str) -> str:
    """An account's name and the id of one of its instructions, in one text: neither ever holds NUL.

    Python's garbage collector looks at pairs, and never at texts.
    """
    return f"{account}\0{instruction}"


class Answers:
    __slots__ = ("_oldest_us", "shelf")

    def __init__(self) -> None:
        self.shelf: Shelf[str, OrderResponse] = Shelf()
        self._oldest_us = 0  # no answer here is older

    def recall(self, key: str, log_time: int) -> OrderResponse | None:
        """The first answer to an instruction if it was given within the last 24 h; else it is forgotten."""
        answer = self.shelf.get(key)
        if answer is None or is_fresh(answer, log_time):
            return answer
        self.shelf.remove(key)
        return None

    def remember(self, key: str, answer: OrderResponse) -> None:
        """Keep an answer just given to an instruction that was not recalled; its time is the log time."""
        self.shelf.add(key, answer)
        if answer.time - self._oldest_us > _REMEMBERED_US:
            self._forget(answer.time)

    def _forget(self, log_time: int) -> None:
        for _ in range(_FORGET_AT_ONCE):
            oldest = self.shelf.oldest()
            if oldest is None or is_fresh(oldest, log_time):
                break
            self.shelf.remove(answer_key(oldest.account, oldest.instruction))
        oldest = self.shelf.oldest()
        self._oldest_us = log_time if oldest is None else oldest.time


def is_fresh(answer: OrderResponse, log_time: int) -> bool:
    return log_time - answer.time <= _REMEMBERED_US
