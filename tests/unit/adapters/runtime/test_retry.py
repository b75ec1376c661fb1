"""Waiting for what is away: bounded, and only for what was named."""

import pytest

from paceline.adapters.runtime.retry import retrying


class Away(Exception):
    pass


class Server:
    """Fails as often as it is told, then answers."""

    def __init__(self, failures: int, error: type[Exception] = Away) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    async def answer(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("not now")
        return "here"


async def test_it_comes_back() -> None:
    server = Server(failures=3)
    assert await retrying(server.answer, on=(Away,), what="a server", longest_delay_s=0.01) == "here"
    assert server.calls == 4


async def test_patience_ends() -> None:
    server = Server(failures=10_000)
    with pytest.raises(Away):
        await retrying(server.answer, on=(Away,), what="a server", patience_s=0.1, longest_delay_s=0.01)
    assert 2 <= server.calls < 100


async def test_other_errors_are_not_waited_for() -> None:
    server = Server(failures=1, error=KeyError)
    with pytest.raises(KeyError):
        await retrying(server.answer, on=(Away,), what="a server")
    assert server.calls == 1
