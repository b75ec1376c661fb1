"""The base class of the fakes."""

from typing import TypeVar

from paceline.core.errors import TransientError

S = TypeVar("S", bound="FakeStore")


class FakeStore:
    """While `available` is False, every call raises `TransientError`."""

    available = True

    def _check_available(self) -> None:
        if not self.available:
            raise TransientError("unavailable")


def make_unavailable(fake: S) -> S:
    """Return the fake, with `available` set to False."""
    fake.available = False
    return fake
