"""Submitting instructions: the result when the log, Redis or Postgres is unavailable."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from paceline.core.errors import NotFoundError, TransientError
from paceline.core.ids import shard_of
from paceline.core.times import DAY_US
from paceline.messages.inbound import CreateTrade, OpenAccount, PlaceOrder, UserInstruction
from paceline.ports.market import Price
from paceline.ports.trading import Answer
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
            self.replies.deliver(answer)

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
    world.answers.stored.append((NOW_US, accepting(trade())))
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
    world = World(silent, FakeAnswers((NOW_US, accepting(trade())))).without_redis()
    assert trading.submit(desk_of(world), trade()) == accepting(trade())


def test_a_message_on_the_log_is_pending_when_both_stores_are_unavailable() -> None:
    """A 503 would mean "certainly not done"; with both stores unavailable it must be "pending"."""
    world = World(accepting).without_redis()
    world.answers.available = False
    assert trading.submit(desk_of(world), trade()) is None
    assert len(world.log.appended) == 1


def test_an_answer_older_than_a_day_is_ignored() -> None:
    """After a day the engine has forgotten the id and executes the instruction again."""
    world = World(silent, FakeAnswers((NOW_US - DAY_US - 1, accepting(trade()))))
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
