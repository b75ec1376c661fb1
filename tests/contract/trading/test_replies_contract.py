"""What `Replies` promises: each answer to who expects it, and a note of what still waits."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from paceline.adapters.redis.client import HotClient
from paceline.adapters.redis.keys import REPLIES
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.core.errors import TransientError
from paceline.messages.json_form import encode_line, output_to_json
from paceline.messages.outbound import OrderResponse
from paceline.ports.trading import Answer, Replies
from stream.router.commands import reply_command
from tests.support.fakes.store import lost
from tests.support.fakes.trading.instructions import FakeReplies

WAIT_MS = 5_000


@dataclass
class Subject:
    replies: Replies
    give: Callable[[Answer], None]


def as_the_router_gives(client: HotClient, answer: Answer) -> None:
    """None of the answers here has amounts."""
    fields = [getattr(answer, name) for name in OrderResponse.__struct_fields__]
    response = OrderResponse(*fields)
    client.ask(*reply_command(encode_line(output_to_json(response)).decode()))


@pytest.fixture(params=["fake", "redis"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeReplies()
        yield Subject(fake, fake.give)
        return
    client = HotClient(request.getfixturevalue("redis_url"), WAIT_MS)
    replies = RedisReplies(client)
    yield Subject(replies, lambda answer: as_the_router_gives(client, answer))
    replies.close()
    client.close()


@pytest.fixture
def answer() -> Answer:
    return Answer(id="0:1:0", time=1, instruction=uuid4().hex, account="ada", status="accepted")


def test_an_answer_that_came_meanwhile_is_there_at_once(subject: Subject, answer: Answer) -> None:
    with subject.replies.expect("ada", answer.instruction) as wait:
        subject.give(answer)
        assert wait(WAIT_MS) == answer


def test_an_answer_that_comes_later_is_awaited(subject: Subject, answer: Answer) -> None:
    later = threading.Timer(0.1, subject.give, [answer])
    with subject.replies.expect("ada", answer.instruction) as wait:
        later.start()
        assert wait(WAIT_MS) == answer
    later.join()


def test_no_answer_in_time_is_none(subject: Subject, answer: Answer) -> None:
    began_s = time.monotonic()
    with subject.replies.expect("ada", answer.instruction) as wait:
        assert wait(50) is None
    assert 0.04 < time.monotonic() - began_s < WAIT_MS / 1000


def test_an_answer_that_nobody_expects_is_gone(subject: Subject, answer: Answer) -> None:
    with subject.replies.expect("ada", "another"):
        subject.give(answer)
    with subject.replies.expect("ada", answer.instruction) as wait:
        assert wait(50) is None


def test_all_who_expect_an_answer_hear_it_and_nobody_else(subject: Subject, answer: Answer) -> None:
    replies = subject.replies
    with (
        replies.expect("ada", answer.instruction) as first,
        replies.expect("ada", answer.instruction) as second,
        replies.expect("bob", answer.instruction) as anothers,
    ):
        subject.give(answer)
        assert first(WAIT_MS) == second(WAIT_MS) == answer
        assert anothers(50) is None


def test_who_gave_up_keeps_nobody_from_hearing(subject: Subject, answer: Answer) -> None:
    with subject.replies.expect("ada", answer.instruction) as lasting:
        with subject.replies.expect("ada", answer.instruction) as passing:
            assert passing(10) is None
        subject.give(answer)
        assert lasting(WAIT_MS) == answer


def test_what_is_no_answer_is_passed_over(redis_url: str, answer: Answer) -> None:
    client = HotClient(redis_url, WAIT_MS)
    replies = RedisReplies(client)
    with replies.expect("ada", answer.instruction) as wait:
        client.ask("PUBLISH", REPLIES, b"\xff{")
        as_the_router_gives(client, answer)
        assert wait(WAIT_MS) == answer
    replies.close()
    client.close()


def test_a_lost_connection_is_told_to_who_waits_and_made_anew(redis_url: str, answer: Answer) -> None:
    client = HotClient(redis_url, WAIT_MS)
    replies = RedisReplies(client)
    with replies.expect("ada", answer.instruction) as wait:
        assert client.ask("CLIENT", "KILL", "TYPE", "pubsub") == 1
        with pytest.raises(TransientError):
            wait(WAIT_MS)
    with replies.expect("ada", answer.instruction) as wait:
        as_the_router_gives(client, answer)
        assert wait(WAIT_MS) == answer
    replies.close()
    client.close()


def test_what_waits_is_remembered(subject: Subject, answer: Answer) -> None:
    assert not subject.replies.is_pending("ada", answer.instruction)
    subject.replies.remember_pending("ada", answer.instruction)
    assert subject.replies.is_pending("ada", answer.instruction)
    assert not subject.replies.is_pending("bob", answer.instruction)


@pytest.mark.parametrize("kind", ["fake", "redis"])
def test_a_store_that_is_away_is_told_as_passing(kind: str, lost_redis_url: str) -> None:
    away = lost(FakeReplies()) if kind == "fake" else RedisReplies(HotClient(lost_redis_url, 100))
    with away.expect("ada", "i") as wait, pytest.raises(TransientError):
        wait(10)
    with pytest.raises(TransientError):
        away.remember_pending("ada", "i")
    with pytest.raises(TransientError):
        away.is_pending("ada", "i")
