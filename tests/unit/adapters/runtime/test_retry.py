"""Retries are bounded and apply only to the given errors."""

import pytest

from paceline.adapters.runtime.retry import retrying


class Unavailable(Exception):
    pass


class Server:
    """Fails `failures` times, then answers."""

    def __init__(self, failures: int, error: type[Exception] = Unavailable) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0

    async def answer(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("not now")
        return "here"


async def test_a_call_is_retried_until_it_succeeds() -> None:
    server = Server(failures=3)
    assert await retrying(server.answer, on=(Unavailable,), what="a server", longest_delay_s=0.01) == "here"
    assert server.calls == 4


async def test_retries_end_after_the_patience() -> None:
    server = Server(failures=10_000)
    with pytest.raises(Unavailable):
        await retrying(
            server.answer, on=(Unavailable,), what="a server", patience_s=0.1, longest_delay_s=0.01
        )
    assert 2 <= server.calls < 100


async def test_other_errors_are_not_retried() -> None:
    server = Server(failures=1, error=KeyError)
    with pytest.raises(KeyError):
        await retrying(server.answer, on=(Unavailable,), what="a server")
    assert server.calls == 1
