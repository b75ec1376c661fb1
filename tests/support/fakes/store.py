"""What the fakes have in common."""

from typing import TypeVar

from paceline.core.errors import TransientError

S = TypeVar("S", bound="FakeStore")


class FakeStore:
    """While `away` is set, every call raises `TransientError`."""

    away = False

    def _reach(self) -> None:
        if self.away:
            raise TransientError("away")


def lost(fake: S) -> S:
    """The fake, away."""
    fake.away = True
    return fake
