"""The ports for sending instructions and reading their answers, in memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paceline.core.errors import TransientError
from paceline.messages.inbound import AdminInstruction, UserInstruction
from paceline.ports.market import Price
from paceline.ports.trading import Answer, AnsweredInstruction, Wait
from tests.support.fakes.store import FakeStore


class FakeInstructionLog(FakeStore):
    """Calls `on_append` for each message that was appended.

    A shard in `failing_shards` raises `TransientError`; a message to a shard in `silent_shards` is lost.
    """

    def __init__(
        self, on_append: Callable[[UserInstruction | AdminInstruction], None] = lambda _: None
    ) -> None:
        self.appended: list[tuple[UserInstruction | AdminInstruction, int]] = []
        self.failing_shards: set[int] = set()
        self.silent_shards: set[int] = set()
        self.on_append = on_append

    def append(self, message: UserInstruction | AdminInstruction, shard: int) -> None:
        self._check_available()
        if shard in self.failing_shards:
            raise TransientError("this shard accepts nothing")
        if shard not in self.silent_shards:
            self.appended.append((message, shard))
            self.on_append(message)

    def ping(self) -> None:
        self._check_available()


class FakeReplies(FakeStore):
    def __init__(self) -> None:
        self.pending: set[tuple[str, str]] = set()
        self._expected: list[_FakeReply] = []

    def deliver(self, answer: Answer, stamped_us: int) -> None:
        """Deliver the answer to the instruction with this `time`."""
        for reply in self._expected:
            if (answer.account, answer.instruction, stamped_us) == reply.asked:
                reply.receive(answer)

    @contextmanager
    def expect(self, account: str, instruction: str, stamped_us: int) -> Iterator[Wait]:
        reply = _FakeReply((account, instruction, stamped_us), self._check_available)
        self._expected.append(reply)
        try:
            yield reply.wait
        finally:
            self._expected.remove(reply)

    def remember_pending(self, account: str, instruction: str) -> None:
        self._check_available()
        self.pending.add((account, instruction))

    def is_pending(self, account: str, instruction: str) -> bool:
        self._check_available()
        return (account, instruction) in self.pending


class _FakeReply:
    """Keeps the first answer. `check_available` raises while the store is unavailable."""

    def __init__(self, asked: tuple[str, str, int], check_available: Callable[[], None]) -> None:
        self.asked = asked
        self._check_available = check_available
        self._there = threading.Event()
        self._answer: Answer | None = None

    def receive(self, answer: Answer) -> None:
        self._answer = self._answer or answer
        self._there.set()

    def wait(self, timeout_ms: int) -> Answer | None:
        self._check_available()
        self._there.wait(timeout_ms / 1000)
        return self._answer


class FakeAnswers(FakeStore):
    """`stored` holds the instructions with their answers in the order of the log."""

    def __init__(self, *stored: AnsweredInstruction) -> None:
        self.stored = list(stored)

    def find(self, account: str, instruction: str, since_us: int = 0) -> AnsweredInstruction | None:
        self._check_available()
        for one in reversed(self.stored):
            asked = (one.message.account, one.message.id) == (account, instruction)
            if asked and one.message.time >= since_us and not one.answer.duplicate:
                return one
        return None


class FakePrices(FakeStore):
    def __init__(self, **known: Price) -> None:
        self.known = known

    def last(self, symbol: str) -> Price | None:
        self._check_available()
        return self.known.get(symbol)
