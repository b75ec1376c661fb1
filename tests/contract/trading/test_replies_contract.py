"""Contract of `Replies`: delivers each answer to its waiters and remembers pending instructions."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
from msgspec.structs import replace

from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.keys import REPLIES
from paceline.adapters.redis.trading.commands import reply_command
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.core.errors import TransientError
from paceline.messages.json_form import output_to_json
from paceline.messages.outbound import OrderResponse
from paceline.ports.trading import Answer, Replies
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.instructions import FakeReplies

WAIT_MS = 5_000
STAMPED = 7


@dataclass
class Subject:
    replies: Replies
    deliver_stamped: Callable[[Answer, int], None]

    def deliver(self, answer: Answer) -> None:
        self.deliver_stamped(answer, STAMPED)


def publish_as_router(client: SyncRedis, answer: Answer, stamped_us: int = STAMPED) -> None:
    """Works for answers without amounts only; no answer in this file has any."""
    fields = [getattr(answer, name) for name in OrderResponse.__struct_fields__]
    response = OrderResponse(*fields)
    client.ask(*reply_command(output_to_json(response), stamped_us))


@pytest.fixture(params=["fake", "redis"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeReplies()
        yield Subject(fake, fake.deliver)
        return
    client = SyncRedis(request.getfixturevalue("redis_url"), WAIT_MS)
    replies = RedisReplies(client)
    yield Subject(replies, lambda answer, stamped_us: publish_as_router(client, answer, stamped_us))
    replies.close()
    client.close()


@pytest.fixture
def answer() -> Answer:
    return Answer(id="0:1:0", time=1, instruction=uuid4().hex, account="ada", status="accepted")


def test_an_answer_that_arrived_before_the_wait_is_returned_at_once(subject: Subject, answer: Answer) -> None:
    with subject.replies.expect("ada", answer.instruction, STAMPED) as wait:
        subject.deliver(answer)
        assert wait(WAIT_MS) == answer


def test_wait_returns_an_answer_that_arrives_later(subject: Subject, answer: Answer) -> None:
    later = threading.Timer(0.1, subject.deliver, [answer])
    with subject.replies.expect("ada", answer.instruction, STAMPED) as wait:
        later.start()
        assert wait(WAIT_MS) == answer
    later.join()


def test_wait_returns_none_after_the_timeout(subject: Subject, answer: Answer) -> None:
    began_s = time.monotonic()
    with subject.replies.expect("ada", answer.instruction, STAMPED) as wait:
        assert wait(50) is None
    assert 0.04 < time.monotonic() - began_s < WAIT_MS / 1000


def test_an_answer_without_a_waiter_is_dropped(subject: Subject, answer: Answer) -> None:
    with subject.replies.expect("ada", "another", STAMPED):
        subject.deliver(answer)
    with subject.replies.expect("ada", answer.instruction, STAMPED) as wait:
        assert wait(50) is None


def test_only_the_waiters_for_an_instruction_get_its_answer(subject: Subject, answer: Answer) -> None:
    replies = subject.replies
    with (
        replies.expect("ada", answer.instruction, STAMPED) as first,
        replies.expect("ada", answer.instruction, STAMPED) as second,
        replies.expect("bob", answer.instruction, STAMPED) as anothers,
    ):
        subject.deliver(answer)
        assert first(WAIT_MS) == second(WAIT_MS) == answer
        assert anothers(50) is None


def test_instructions_with_one_id_get_their_own_answers(subject: Subject, answer: Answer) -> None:
    """Else the second of two different requests with one key would get the first one's answer as its own."""
    repeated = replace(answer, id="0:2:0", duplicate=True)
    with (
        subject.replies.expect("ada", answer.instruction, 7) as first,
        subject.replies.expect("ada", answer.instruction, 8) as second,
    ):
        subject.deliver_stamped(answer, 7)
        assert first(WAIT_MS) == answer
        assert second(50) is None
        subject.deliver_stamped(repeated, 8)
        assert second(WAIT_MS) == repeated


def test_a_waiter_that_timed_out_does_not_affect_other_waiters(subject: Subject, answer: Answer) -> None:
    with subject.replies.expect("ada", answer.instruction, STAMPED) as lasting:
        with subject.replies.expect("ada", answer.instruction, STAMPED) as passing:
            assert passing(10) is None
        subject.deliver(answer)
        assert lasting(WAIT_MS) == answer


def test_malformed_messages_are_skipped(redis_url: str, answer: Answer) -> None:
    client = SyncRedis(redis_url, WAIT_MS)
    replies = RedisReplies(client)
    with replies.expect("ada", answer.instruction, STAMPED) as wait:
        client.ask("PUBLISH", REPLIES, b"\xff{")
        publish_as_router(client, answer)
        assert wait(WAIT_MS) == answer
    replies.close()
    client.close()


def test_a_lost_connection_fails_the_waiters_and_is_reopened(redis_url: str, answer: Answer) -> None:
    client = SyncRedis(redis_url, WAIT_MS)
    replies = RedisReplies(client)
    with replies.expect("ada", answer.instruction, STAMPED) as wait:
        assert client.ask("CLIENT", "KILL", "TYPE", "pubsub") == 1
        with pytest.raises(TransientError):
            wait(WAIT_MS)
    with replies.expect("ada", answer.instruction, STAMPED) as wait:
        publish_as_router(client, answer)
        assert wait(WAIT_MS) == answer
    replies.close()
    client.close()


def test_pending_instructions_are_remembered_per_account(subject: Subject, answer: Answer) -> None:
    assert not subject.replies.is_pending("ada", answer.instruction)
    subject.replies.remember_pending("ada", answer.instruction)
    assert subject.replies.is_pending("ada", answer.instruction)
    assert not subject.replies.is_pending("bob", answer.instruction)


@pytest.mark.parametrize("kind", ["fake", "redis"])
def test_an_unavailable_store_raises_transient_error(kind: str, unreachable_redis_url: str) -> None:
    unavailable = (
        make_unavailable(FakeReplies())
        if kind == "fake"
        else RedisReplies(SyncRedis(unreachable_redis_url, 100))
    )
    with unavailable.expect("ada", "i", STAMPED) as wait, pytest.raises(TransientError):
        wait(10)
    with pytest.raises(TransientError):
        unavailable.remember_pending("ada", "i")
    with pytest.raises(TransientError):
        unavailable.is_pending("ada", "i")
