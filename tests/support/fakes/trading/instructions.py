"""The way to the engine and back, in memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paceline.core.errors import TransientError
from paceline.messages.inbound import Admin, User
from paceline.ports.market import Price
from paceline.ports.trading import Answer, Wait
from tests.support.fakes.store import FakeStore


class FakeInstructionLog(FakeStore):
    """`reached` hears of each message that is on the log now.

    A shard of `away_shards` takes nothing; what is handed over to one of `silent` is lost on its way.
    """

    def __init__(self, reached: Callable[[User | Admin], None] = lambda _: None) -> None:
        self.appended: list[tuple[User | Admin, int]] = []
        self.away_shards: set[int] = set()
        self.silent: set[int] = set()
        self._reached = reached

    def append(self, message: User | Admin, shard: int) -> None:
        self._reach()
        if shard in self.away_shards:
            raise TransientError("this shard takes nothing")
        if shard not in self.silent:
            self.appended.append((message, shard))
            self._reached(message)

    def ping(self) -> None:
        self._reach()


class FakeReplies(FakeStore):
    def __init__(self) -> None:
        self.pending: set[tuple[str, str]] = set()
        self._expected: list[_FakeReply] = []

    def give(self, answer: Answer) -> None:
        for reply in self._expected:
            if (answer.account, answer.instruction) == reply.asked:
                reply.hear(answer)

    @contextmanager
    def expect(self, account: str, instruction: str) -> Iterator[Wait]:
        reply = _FakeReply((account, instruction), self._reach)
        self._expected.append(reply)
        try:
            yield reply.wait
        finally:
            self._expected.remove(reply)

    def remember_pending(self, account: str, instruction: str) -> None:
        self._reach()
        self.pending.add((account, instruction))

    def is_pending(self, account: str, instruction: str) -> bool:
        self._reach()
        return (account, instruction) in self.pending


class _FakeReply:
    """Hears the first answer. `reach` raises while the store is away."""

    def __init__(self, asked: tuple[str, str], reach: Callable[[], None]) -> None:
        self.asked = asked
        self._reach = reach
        self._there = threading.Event()
        self._answer: Answer | None = None

    def hear(self, answer: Answer) -> None:
        self._answer = self._answer or answer
        self._there.set()

    def wait(self, timeout_ms: int) -> Answer | None:
        self._reach()
        self._there.wait(timeout_ms / 1000)
        return self._answer


class FakeAnswers(FakeStore):
    """`stored` holds `(when the instruction was stamped, answer)` in the order of the log."""

    def __init__(self, *stored: tuple[int, Answer]) -> None:
        self.stored = list(stored)

    def find(self, account: str, instruction: str, since_us: int = 0) -> Answer | None:
        self._reach()
        for stamped_us, answer in reversed(self.stored):
            asked = (answer.account, answer.instruction) == (account, instruction)
            if asked and stamped_us >= since_us and not answer.duplicate:
                return answer
        return None


class FakePrices(FakeStore):
    def __init__(self, **known: Price) -> None:
        self.known = known

    def last(self, symbol: str) -> Price | None:
        self._reach()
        return self.known.get(symbol)
