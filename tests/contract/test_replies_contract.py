"""What `Replies` promises: each answer once to who waits for it, and a note of what still waits."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from paceline.adapters.redis.hot import HotClient, RedisReplies
from paceline.core.errors import TransientError
from paceline.messages.json_form import encode_line, output_to_json
from paceline.messages.outbound import OrderResponse
from paceline.ports.instructions import Answer, Replies
from stream.router.commands import reply_commands
from tests.support.fakes.instructions import FakeReplies
from tests.support.fakes.store import lost

WAIT_MS = 5_000


@dataclass
class Subject:
    replies: Replies
    give: Callable[[Answer], None]


def as_the_router_gives(client: HotClient, answer: Answer) -> None:
    """None of the answers here has amounts."""
    fields = [getattr(answer, name) for name in OrderResponse.__struct_fields__]
    response = OrderResponse(*fields)
    for command in reply_commands(response, encode_line(output_to_json(response)).decode()):
        client.ask(*command)


@pytest.fixture(params=["fake", "redis"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeReplies()
        yield Subject(fake, fake.give)
        return
    client = HotClient(request.getfixturevalue("redis_url"), WAIT_MS)
    yield Subject(RedisReplies(client), lambda answer: as_the_router_gives(client, answer))
    client.close()


@pytest.fixture
def answer() -> Answer:
    return Answer(id="0:1:0", time=1, instruction=uuid4().hex, account="ada", status="accepted")


def test_an_answer_that_is_there_comes_at_once_and_once(subject: Subject, answer: Answer) -> None:
    subject.give(answer)
    assert subject.replies.wait("ada", answer.instruction, WAIT_MS) == answer
    assert subject.replies.wait("ada", answer.instruction, 10) is None


def test_an_answer_that_comes_later_is_awaited(subject: Subject, answer: Answer) -> None:
    later = threading.Timer(0.1, subject.give, [answer])
    later.start()
    assert subject.replies.wait("ada", answer.instruction, WAIT_MS) == answer
    later.join()


def test_no_answer_in_time_is_none(subject: Subject, answer: Answer) -> None:
    began_s = time.monotonic()
    assert subject.replies.wait("ada", answer.instruction, 50) is None
    assert 0.04 < time.monotonic() - began_s < WAIT_MS / 1000


def test_anothers_answer_is_left_alone(subject: Subject, answer: Answer) -> None:
    subject.give(answer)
    assert subject.replies.wait("bob", answer.instruction, 10) is None
    assert subject.replies.wait("ada", uuid4().hex, 10) is None
    assert subject.replies.wait("ada", answer.instruction, 10) == answer


def test_what_waits_is_remembered(subject: Subject, answer: Answer) -> None:
    assert not subject.replies.is_pending("ada", answer.instruction)
    subject.replies.remember_pending("ada", answer.instruction)
    assert subject.replies.is_pending("ada", answer.instruction)
    assert not subject.replies.is_pending("bob", answer.instruction)


@pytest.mark.parametrize("kind", ["fake", "redis"])
def test_a_store_that_is_away_is_told_as_passing(kind: str, lost_redis_url: str) -> None:
    away = lost(FakeReplies()) if kind == "fake" else RedisReplies(HotClient(lost_redis_url, 100))
    with pytest.raises(TransientError):
        away.wait("ada", "i", 10)
    with pytest.raises(TransientError):
        away.remember_pending("ada", "i")
    with pytest.raises(TransientError):
        away.is_pending("ada", "i")
