"""Contract of `MailQueue`: the fake for unit tests, and the queue in the process of the API."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from paceline.adapters.notify.mail_queue import BackgroundMailQueue
from paceline.adapters.runtime.awaiting import pause
from paceline.core.errors import TransientError
from paceline.ports.notifications import Mail, MailQueue
from tests.support.fakes.notifications.mail_queue import FakeMailQueue
from tests.support.fakes.notifications.notifier import FakeNotifier

CAPACITY = 4


@dataclass
class Subject:
    """A queue that sends nothing before `delivered` is called."""

    queue: MailQueue
    delivered: Callable[[], list[str]]


class HeldNotifier(FakeNotifier):
    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()

    def send(self, mail: Mail) -> str:
        while not self.open.is_set():
            pause(0.005)
        return super().send(mail)


@pytest.fixture(params=["fake", "background"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeMailQueue(CAPACITY)
        yield Subject(fake, lambda: [mail.key for mail in fake.waiting])
        return
    notifier = HeldNotifier()
    background = BackgroundMailQueue(notifier, CAPACITY)

    def delivered() -> list[str]:
        notifier.open.set()
        background.close()
        return [mail.key for mail in notifier.mails]

    yield Subject(background, delivered)
    delivered()


def mail(number: int) -> Mail:
    return Mail(key=f"k{number}", to="ada@example.com", subject="s", text="t", html="h")


def test_an_accepted_mail_is_delivered(subject: Subject) -> None:
    for number in range(3):
        subject.queue.put(mail(number), 60)
    assert sorted(subject.delivered()) == ["k0", "k1", "k2"]


def test_putting_does_not_wait_for_sending(subject: Subject) -> None:
    began = time.monotonic()
    subject.queue.put(mail(0), 60)
    assert time.monotonic() - began < 1


def test_a_full_queue_raises_transient_error_and_keeps_what_it_accepted(subject: Subject) -> None:
    accepted, refusals = [], 0
    for number in range(10 * CAPACITY):
        try:
            subject.queue.put(mail(number), 60)
            accepted.append(f"k{number}")
        except TransientError:
            refusals += 1
    assert len(accepted) >= CAPACITY
    assert refusals > 0
    assert sorted(subject.delivered()) == sorted(accepted)
