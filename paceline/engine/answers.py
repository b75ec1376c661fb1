"""The answers of the last 24 h of log time, so that an instruction that is sent twice is executed once."""

from typing import Final

from paceline.engine.copy_on_write import CopyOnWriteStore
from paceline.messages.outbound import OrderResponse

_RETENTION_US: Final = 24 * 3600 * 1_000_000
# Old answers removed per new answer, at most: memory stays bounded, and no message removes a whole day.
_REMOVED_PER_ANSWER: Final = 4


def answer_key(account: str, instruction: str) -> str:
    """The account's name and the instruction's id, joined by NUL, which neither contains.

    One string, not a tuple, because Python's garbage collector scans tuples but not strings.
    """
    return f"{account}\0{instruction}"


class AnswerHistory:
    __slots__ = ("_oldest_us", "shelf")

    def __init__(self) -> None:
        self.shelf: CopyOnWriteStore[str, OrderResponse] = CopyOnWriteStore()
        self._oldest_us = 0  # no stored answer is older

    def recall(self, key: str, log_time: int) -> OrderResponse | None:
        """The first answer to an instruction, if given within the last 24 h. An older one is removed."""
        answer = self.shelf.get(key)
        if answer is None or is_fresh(answer, log_time):
            return answer
        self.shelf.remove(key)
        return None

    def remember(self, key: str, answer: OrderResponse) -> None:
        """Store the answer to an instruction that has none stored. The answer's time is the log time."""
        self.shelf.add(key, answer)
        if answer.time - self._oldest_us > _RETENTION_US:
            self._remove_expired(answer.time)

    def _remove_expired(self, log_time: int) -> None:
        for _ in range(_REMOVED_PER_ANSWER):
            oldest = self.shelf.oldest()
            if oldest is None or is_fresh(oldest, log_time):
                break
            self.shelf.remove(answer_key(oldest.account, oldest.instruction))
        oldest = self.shelf.oldest()
        self._oldest_us = log_time if oldest is None else oldest.time


def is_fresh(answer: OrderResponse, log_time: int) -> bool:
    return log_time - answer.time <= _RETENTION_US
