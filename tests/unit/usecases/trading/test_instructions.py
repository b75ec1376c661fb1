"""Submitting instructions: the result when the log, Redis or Postgres is unavailable."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from paceline.core.errors import ConflictError, NotFoundError, TransientError
from paceline.core.ids import shard_of
from paceline.core.times import DAY_US
from paceline.messages.inbound import CreateTrade, OpenAccount, PlaceOrder, UserInstruction
from paceline.ports.market import Price
from paceline.ports.trading import Answer, AnsweredInstruction
from paceline.usecases.trading import instructions as trading
from paceline.usecases.trading.instructions import TradingGateway
from tests.support.fakes.trading.instructions import FakeAnswers, FakeInstructionLog, FakePrices, FakeReplies

NOW_US = 1_757_143_198_000_000
PRICE = Price(100, 102, NOW_US)
SHARD = shard_of("a1", 4)


@dataclass
class World:
    """Fake ports, and an engine function that answers each appended message."""

    engine: Callable[[UserInstruction], Answer | None]
    answers: FakeAnswers = field(default_factory=FakeAnswers)
    replies: FakeReplies = field(default_factory=FakeReplies)
    prices: FakePrices = field(default_factory=lambda: FakePrices(S=PRICE))

    def __post_init__(self) -> None:
        self.log = FakeInstructionLog(self._answer)

    def _answer(self, message: Any) -> None:
        answer = self.engine(message)
        if answer is not None:
            self.replies.deliver(answer, message.time)

    def without_redis(self) -> "World":
        self.replies.available = self.prices.available = False
        return self

    def losing(self) -> "World":
        self.log.silent_shards.add(SHARD)
        return self


def accepting(message: UserInstruction) -> Answer:
    return Answer(
        id="0:1:0", time=message.time, instruction=message.id, account=message.account, status="accepted"
    )


def not_known(message: UserInstruction) -> Answer:
    refused = {"status": "rejected", "code": "ACCOUNT_NOT_FOUND"}
    return msgspec.structs.replace(accepting(message), **refused)


def silent(message: UserInstruction) -> None:
    return None


def desk_of(world: World) -> TradingGateway:
    return TradingGateway(
        log=world.log,
        replies=world.replies,
        answers=world.answers,
        prices=world.prices,
        now_us=lambda: NOW_US,
        pause=time.sleep,
        shards=4,
        reply_timeout_ms=120,
        default_slippage_bps=50,
        initial_balance=5_000,
    )


def trade(**changes: object) -> CreateTrade:
    fields: dict[str, object] = {"id": "i1", "time": NOW_US, "account": "a1", "symbol": "S", "side": "long"}
    return CreateTrade(**fields | {"margin": 1, "leverage": 2} | changes)  # type: ignore[arg-type]


def test_submit_sends_to_the_shard_and_returns_the_answer() -> None:
    world = World(accepting)
    assert trading.submit(desk_of(world), trade()) == accepting(trade())
    assert world.log.appended == [(trade(), SHARD)]
    assert world.replies.pending == set()


def test_no_answer_in_time_is_pending_and_remembered() -> None:
    world = World(silent)
    gateway = desk_of(world)
    assert trading.submit(gateway, trade()) is None
    assert trading.find(gateway, "a1", "i1") is None
    world.answers.stored.append(AnsweredInstruction(trade(), accepting(trade())))
    assert trading.find(gateway, "a1", "i1") == accepting(trade())


def test_a_message_that_never_reached_the_log_raises_and_is_not_pending() -> None:
    world = World(accepting)
    world.log.failing_shards.add(SHARD)
    gateway = desk_of(world)
    with pytest.raises(TransientError):
        trading.submit(gateway, trade())
    with pytest.raises(NotFoundError):
        trading.find(gateway, "a1", "i1")


def test_a_message_lost_before_the_log_is_pending() -> None:
    world = World(accepting).losing()
    assert trading.submit(desk_of(world), trade()) is None
    assert world.replies.pending == {("a1", "i1")}


def test_without_redis_the_answer_is_found_in_postgres() -> None:
    world = World(silent, FakeAnswers(AnsweredInstruction(trade(), accepting(trade())))).without_redis()
    assert trading.submit(desk_of(world), trade()) == accepting(trade())


def test_a_message_on_the_log_is_pending_when_both_stores_are_unavailable() -> None:
    """A 503 would mean "certainly not done"; with both stores unavailable it must be "pending"."""
    world = World(accepting).without_redis()
    world.answers.available = False
    assert trading.submit(desk_of(world), trade()) is None
    assert len(world.log.appended) == 1


def test_an_answer_older_than_a_day_is_ignored() -> None:
    """After a day the engine has forgotten the id and executes the instruction again."""
    old = trade(time=NOW_US - DAY_US - 1)
    world = World(silent, FakeAnswers(AnsweredInstruction(old, accepting(old))))
    assert trading.submit(desk_of(world), trade()) is None


def test_an_unknown_account_is_opened_and_the_instruction_repeated() -> None:
    opened: set[str] = set()

    def engine(message: UserInstruction) -> Answer:
        if isinstance(message, OpenAccount):
            opened.add(message.account)
            return accepting(message)
        if message.account in opened:
            return accepting(message)
        return not_known(message)

    world = World(engine)
    answer = trading.submit(desk_of(world), trade())
    assert answer is not None
    assert answer.status == "accepted"
    assert [type(message) for message, _ in world.log.appended] == [CreateTrade, OpenAccount, CreateTrade]
    opening = world.log.appended[1][0]
    assert opening == OpenAccount(id="open-a1", time=NOW_US, account="a1", initial_balance=5_000)


def test_an_account_that_stays_unknown_is_refused_after_one_retry() -> None:
    world = World(not_known)
    answer = trading.submit(desk_of(world), trade())
    assert answer is not None
    assert answer.code == "ACCOUNT_NOT_FOUND"
    assert len(world.log.appended) == 3


@pytest.mark.parametrize(
    ("given", "expected", "slippage"),
    [
        ({}, 102, 50),
        ({"side": "short"}, 100, 50),
        ({"expected_price": 90}, 90, 50),
        ({"max_slippage_bps": 7}, 102, 7),
        ({"expected_price": 90, "max_slippage_bps": 0}, 90, 0),
    ],
)
def test_a_market_order_gets_default_price_and_slippage(
    given: dict[str, object], expected: int, slippage: int
) -> None:
    with_slippage_bound = trading.with_slippage_bound(desk_of(World(silent)), trade(**given))
    assert (with_slippage_bound.expected_price, with_slippage_bound.max_slippage_bps) == (expected, slippage)


def test_a_limit_order_needs_no_bound() -> None:
    order = PlaceOrder("i1", NOW_US, "a1", "S", "buy", "limit", 1, price=5)
    assert trading.with_slippage_bound(desk_of(World(silent).without_redis()), order) == order


def test_a_market_order_raises_when_prices_are_unavailable() -> None:
    with pytest.raises(TransientError):
        trading.with_slippage_bound(desk_of(World(silent).without_redis()), trade())


def test_a_symbol_without_a_price_is_sent_unchanged() -> None:
    assert trading.with_slippage_bound(desk_of(World(silent, prices=FakePrices())), trade()) == trade()


def test_find_raises_when_pending_is_unknown() -> None:
    with pytest.raises(TransientError):
        trading.find(desk_of(World(silent).without_redis()), "a1", "i1")


FIRST = trade(time=NOW_US - 1, expected_price=102, max_slippage_bps=50)


def repeating(message: UserInstruction) -> Answer:
    """The engine's answer to a repeated id: the first one, under an id and time of its own."""
    first = msgspec.structs.replace(accepting(message), trade="0:1:0")
    return msgspec.structs.replace(first, id="0:9:0", time=NOW_US, duplicate=True)


def first_stored() -> FakeAnswers:
    answer = msgspec.structs.replace(accepting(FIRST), trade="0:1:0")
    return FakeAnswers(AnsweredInstruction(FIRST, answer))


def test_a_repeated_request_gets_the_first_answer() -> None:
    """The price that was filled in for the first request is not what the client asked for."""
    world = World(repeating, first_stored(), prices=FakePrices(S=Price(300, 301, NOW_US)))
    assert trading.execute(desk_of(world), trade()) == repeating(trade())


@pytest.mark.parametrize(
    "other",
    [
        trade(margin=2),
        trade(side="short"),
        trade(expected_price=101),
        PlaceOrder("i1", NOW_US, "a1", "S", "buy", "market", 1),
    ],
)
def test_another_request_with_the_same_id_is_a_conflict(other: CreateTrade | PlaceOrder) -> None:
    with pytest.raises(ConflictError) as caught:
        trading.execute(desk_of(World(repeating, first_stored())), other)
    assert caught.value.code == "IDEMPOTENCY_KEY_REUSED"


def test_a_repetition_is_pending_until_the_first_request_is_stored() -> None:
    world = World(repeating)
    gateway = desk_of(world)
    assert trading.execute(gateway, trade()) is None
    assert trading.find(gateway, "a1", "i1") is None  # pending, and not unknown
    world.answers.available = False
    assert trading.execute(gateway, trade()) is None


def test_a_repetition_waits_for_the_writer() -> None:
    world = World(repeating)
    gateway = replace(desk_of(world), pause=lambda _: world.answers.stored.extend(first_stored().stored))
    assert trading.execute(gateway, trade()) == repeating(trade())


def test_a_repetition_is_compared_with_the_instruction_that_has_this_answer() -> None:
    """The same id was used a day ago for something else; the newer instruction is not stored yet."""
    recent = trade(time=NOW_US - DAY_US, margin=7)
    older = msgspec.structs.replace(accepting(recent), trade="0:0:0")
    world = World(repeating, FakeAnswers(AnsweredInstruction(recent, older)))
    assert trading.execute(desk_of(world), trade()) is None


def test_without_redis_another_request_with_the_same_id_is_a_conflict() -> None:
    bound = {"expected_price": 102, "max_slippage_bps": 50}
    gateway = desk_of(World(silent, first_stored()).without_redis())
    found = trading.execute(gateway, trade(**bound))
    assert found is not None
    # As it stands on the log: no answer is made up.
    assert (found.duplicate, found.trade) == (False, "0:1:0")
    with pytest.raises(ConflictError):
        trading.execute(gateway, trade(**bound, margin=2))


def test_without_redis_an_earlier_refusal_of_an_unknown_account_is_no_answer() -> None:
    """The engine does not store ids of accounts that it does not know: the new message is executed."""
    earlier = trade(time=NOW_US - 1)
    stored = FakeAnswers(AnsweredInstruction(earlier, not_known(earlier)))
    assert trading.submit(desk_of(World(silent, stored).without_redis()), trade()) is None
