"""Handing instructions to the engine: what is answered when which part of the way is down."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from paceline.core.errors import NotFoundError, TransientError, UnknownError
from paceline.core.ids import shard_of
from paceline.core.times import DAY_US
from paceline.messages.inbound import CreateTrade, OpenAccount, PlaceOrder, User
from paceline.ports.instructions import Answer, Price
from paceline.usecases import trading
from paceline.usecases.trading import Desk

NOW_US = 1_757_143_198_000_000
PRICE = Price(100, 102, NOW_US)


@dataclass
class World:
    """All ports of a desk in one: what was appended, and what is wrong at the moment."""

    engine: Callable[[User], Answer | None]
    appended: list[tuple[User, int]] = field(default_factory=list)
    append_fails: Exception | None = None
    redis_away: bool = False
    postgres_away: bool = False
    stored: list[tuple[int, Answer]] = field(default_factory=list)
    pending: set[tuple[str, str]] = field(default_factory=set)
    replies: list[Answer] = field(default_factory=list)
    price: Price | None = PRICE

    def append(self, message: User, shard: int) -> None:
        if isinstance(self.append_fails, TransientError):
            raise self.append_fails
        self.appended.append((message, shard))
        answer = self.engine(message)
        if answer is not None:
            self.replies.append(answer)
        if self.append_fails is not None:
            raise self.append_fails

    def ping(self) -> None:
        return

    def wait(self, account: str, instruction: str, timeout_ms: int) -> Answer | None:
        self._look(self.redis_away)
        found = [r for r in self.replies if (r.account, r.instruction) == (account, instruction)]
        if found:
            self.replies.remove(found[0])
        return found[0] if found else None

    def remember_pending(self, account: str, instruction: str) -> None:
        self._look(self.redis_away)
        self.pending.add((account, instruction))

    def is_pending(self, account: str, instruction: str) -> bool:
        self._look(self.redis_away)
        return (account, instruction) in self.pending

    def find(self, account: str, instruction: str, since_us: int = 0) -> Answer | None:
        self._look(self.postgres_away)
        for stamped_us, answer in reversed(self.stored):
            if (answer.account, answer.instruction) == (account, instruction) and stamped_us >= since_us:
                return answer
        return None

    def last(self, symbol: str) -> Price | None:
        self._look(self.redis_away)
        return self.price

    def _look(self, away: bool) -> None:
        if away:
            raise TransientError("away")


def accepting(message: User) -> Answer:
    return Answer(
        id="0:1:0", time=message.time, instruction=message.id, account=message.account, status="accepted"
    )


def silent(message: User) -> None:
    return None


def desk_of(world: World) -> Desk:
    return Desk(
        log=world,
        replies=world,
        answers=world,
        prices=world,
        now_us=lambda: NOW_US,
        shards=4,
        reply_timeout_ms=120,
        default_slippage_bps=50,
        initial_balance=5_000,
    )


def trade(**changes: object) -> CreateTrade:
    fields: dict[str, object] = {"id": "i1", "time": NOW_US, "account": "a1", "symbol": "S", "side": "long"}
    return CreateTrade(**fields | {"margin": 1, "leverage": 2} | changes)  # type: ignore[arg-type]


def test_an_answer_comes_back_and_the_message_went_to_its_shard() -> None:
    world = World(accepting)
    assert trading.submit(desk_of(world), trade()) == accepting(trade())
    assert world.appended == [(trade(), shard_of("a1", 4))]
    assert world.pending == set()


def test_no_answer_in_time_is_pending_and_remembered() -> None:
    world = World(silent)
    desk = desk_of(world)
    assert trading.submit(desk, trade()) is None
    assert trading.find(desk, "a1", "i1") is None
    world.stored.append((NOW_US, accepting(trade())))
    assert trading.find(desk, "a1", "i1") == accepting(trade())


def test_what_never_reached_the_log_is_told_and_not_remembered() -> None:
    world = World(accepting, append_fails=TransientError("no broker"))
    desk = desk_of(world)
    with pytest.raises(TransientError):
        trading.submit(desk, trade())
    with pytest.raises(NotFoundError):
        trading.find(desk, "a1", "i1")


def test_an_uncertain_send_that_arrived_is_answered() -> None:
    world = World(accepting, append_fails=UnknownError("timeout"))
    assert trading.submit(desk_of(world), trade()) == accepting(trade())


def test_an_uncertain_send_without_an_answer_is_pending() -> None:
    world = World(silent, append_fails=UnknownError("timeout"))
    assert trading.submit(desk_of(world), trade()) is None
    assert world.pending == {("a1", "i1")}


def test_without_redis_the_answer_is_found_in_postgres() -> None:
    world = World(silent, redis_away=True, stored=[(NOW_US, accepting(trade()))])
    assert trading.submit(desk_of(world), trade()) == accepting(trade())


def test_after_the_log_has_it_nothing_that_is_away_makes_it_undone() -> None:
    """A 503 would say "certainly not done"; with both stores away it must be "pending"."""
    world = World(accepting, redis_away=True, postgres_away=True)
    assert trading.submit(desk_of(world), trade()) is None
    assert len(world.appended) == 1


def test_an_answer_of_another_day_is_no_answer() -> None:
    """After a day the engine has forgotten the id and executes the instruction anew."""
    world = World(silent, stored=[(NOW_US - DAY_US - 1, accepting(trade()))])
    assert trading.submit(desk_of(world), trade()) is None


def test_an_account_that_the_engine_does_not_know_is_opened_first() -> None:
    opened: set[str] = set()

    def engine(message: User) -> Answer:
        if isinstance(message, OpenAccount):
            opened.add(message.account)
            return accepting(message)
        if message.account in opened:
            return accepting(message)
        return Answer(
            id="0:0:0",
            time=1,
            instruction=message.id,
            account=message.account,
            status="rejected",
            code="ACCOUNT_NOT_FOUND",
        )

    world = World(engine)
    answer = trading.submit(desk_of(world), trade())
    assert answer is not None
    assert answer.status == "accepted"
    assert [type(message) for message, _ in world.appended] == [CreateTrade, OpenAccount, CreateTrade]
    opening = world.appended[1][0]
    assert opening == OpenAccount(id="open-a1", time=NOW_US, account="a1", initial_balance=5_000)


def test_an_account_that_stays_unknown_is_refused_and_not_tried_for_ever() -> None:
    def engine(message: User) -> Answer:
        return Answer(
            id="0:0:0",
            time=1,
            instruction=message.id,
            account=message.account,
            status="rejected",
            code="ACCOUNT_NOT_FOUND",
        )

    world = World(engine)
    answer = trading.submit(desk_of(world), trade())
    assert answer is not None
    assert answer.code == "ACCOUNT_NOT_FOUND"
    assert len(world.appended) == 3


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
def test_the_bound_of_a_market_order(given: dict[str, object], expected: int, slippage: int) -> None:
    bounded = trading.bounded(desk_of(World(silent)), trade(**given))
    assert (bounded.expected_price, bounded.max_slippage_bps) == (expected, slippage)


def test_a_limit_order_needs_no_bound() -> None:
    order = PlaceOrder("i1", NOW_US, "a1", "S", "buy", "limit", 1, price=5)
    assert trading.bounded(desk_of(World(silent, redis_away=True)), order) == order


def test_without_a_price_to_bound_it_a_market_order_is_not_sent() -> None:
    with pytest.raises(TransientError):
        trading.bounded(desk_of(World(silent, redis_away=True)), trade())


def test_a_symbol_without_any_price_is_left_to_the_engine() -> None:
    assert trading.bounded(desk_of(World(silent, price=None)), trade()) == trade()


def test_whether_something_is_pending_is_not_guessed() -> None:
    with pytest.raises(TransientError):
        trading.find(desk_of(World(silent, redis_away=True)), "a1", "i1")
