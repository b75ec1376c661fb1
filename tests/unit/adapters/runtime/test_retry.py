"""Retries are bounded and apply only to the given errors."""

import asyncio

import pytest

from paceline.adapters.runtime.retry import reason_of, reconnecting, retrying


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


async def test_a_lambda_that_returns_an_awaitable_is_retried_too() -> None:
    server = Server(failures=2)
    found = await retrying(lambda: server.answer(), on=(Unavailable,), what="a server", longest_delay_s=0.01)  # noqa: PLW0108
    assert (found, server.calls) == ("here", 3)


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


class Link:
    """A connection that breaks after `lives_s[n]` in its attempt n, and then no more."""

    def __init__(self, lives_s: list[float]) -> None:
        self.lives_s = lives_s
        self.calls = 0

    async def live(self) -> None:
        self.calls += 1
        if self.calls > len(self.lives_s):
            raise KeyError("the end of the test")
        await asyncio.sleep(self.lives_s[self.calls - 1])
        raise Unavailable("broken")


async def bounds_of(lives_s: list[float]) -> list[tuple[str, int, float]]:
    """Reason, attempt number and pause before each new attempt."""
    noted: list[tuple[str, int, float]] = []
    link = Link(lives_s)
    attempts = reconnecting(
        on=(Unavailable,),
        first_s=0.01,
        longest_s=0.04,
        stable_s=0.1,
        report=lambda state: noted.append((reason_of(state), state.attempt_number, state.upcoming_sleep)),
    )
    with pytest.raises(KeyError):
        await attempts(link.live)
    return noted


async def test_the_pauses_of_a_connection_are_random_between_bounds() -> None:
    noted = await bounds_of([0.0] * 8)
    assert [number for _, number, _ in noted] == [1, 2, 3, 4, 5, 6, 7, 8]
    for (reason, _, pause_s), longest_s in zip(noted, [0.01, 0.02, *[0.04] * 6], strict=True):
        assert reason == "broken"
        assert 0.005 <= pause_s <= longest_s
    assert len({pause_s for _, _, pause_s in noted}) > 1


async def test_a_long_connection_sets_the_pauses_back() -> None:
    noted = await bounds_of([0.0, 0.0, 0.15, 0.0])
    assert [number for _, number, _ in noted] == [1, 2, 1, 2]
