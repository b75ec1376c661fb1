"""Instructions to all shards: what is told when some of them cannot be reached."""

import time
from typing import Any

import pytest

from paceline.core.errors import NotFoundError, TransientError, UnknownError, ValidationError
from paceline.messages.inbound import HaltMarket
from paceline.ports.operations import MarketControl
from paceline.usecases.operations import operating
from paceline.usecases.trading.instructions import Desk
from tests.support.fakes.operations.control import FakeControl
from tests.support.fakes.trading.instructions import FakeAnswers, FakeInstructionLog, FakePrices, FakeReplies

HALT = HaltMarket("operator-1", 9, "S")
KNOWN = MarketControl(
    symbol="S",
    base="B",
    quantity_step="0.1",
    min_notional="5",
    max_leverage=10,
    maker_rate_bps=1,
    taker_rate_bps=2,
    maintenance_rate_bps=3,
    max_price_age_us=1000,
    shards=[0, 1, 2],
    halted_shards=[],
)


class World:
    """The log, and what the writer has stored of what the engines took."""

    def __init__(self, *, engines_run: bool = True) -> None:
        self.control = FakeControl(KNOWN)
        self.log = FakeInstructionLog(self._take if engines_run else lambda _: None)

    def _take(self, message: Any) -> None:
        shard = self.log.appended[-1][1]
        self.control.taken.append((shard, message.id, getattr(message, "account", None)))

    def desk(self) -> Desk:
        return Desk(
            log=self.log,
            replies=FakeReplies(),
            answers=FakeAnswers(),
            prices=FakePrices(),
            now_us=lambda: 9,
            pause=time.sleep,
            shards=3,
            reply_timeout_ms=60,
            default_slippage_bps=50,
            initial_balance=1,
        )


def instruct(world: World) -> operating.Outcome:
    return operating.instruct(world.desk(), world.control, HALT)


def test_every_shard_gets_it_and_it_is_done_once_all_have_taken_it() -> None:
    world = World()
    assert instruct(world) == operating.Outcome(instruction="operator-1", status="done", shards=[0, 1, 2])
    assert world.log.appended == [(HALT, shard) for shard in range(3)]


def test_what_no_engine_has_taken_in_time_is_pending() -> None:
    assert instruct(World(engines_run=False)).status == "pending"
    blind = World()
    blind.control.available = False
    assert instruct(blind).status == "pending"


def test_a_log_that_takes_nothing_is_told_as_not_done() -> None:
    world = World()
    world.log.available = False
    with pytest.raises(TransientError):
        instruct(world)


def test_what_reached_some_shards_only_is_told_as_unknown() -> None:
    world = World()
    world.log.failing_shards.add(1)
    with pytest.raises(UnknownError, match="shards 1 to 2"):
        instruct(world)
    assert 2 not in {shard for _, shard in world.log.appended}


def test_an_unknown_market_is_not_halted() -> None:
    assert operating.known_market(FakeControl(KNOWN), "S") == "S"
    with pytest.raises(NotFoundError):
        operating.known_market(FakeControl(KNOWN), "T")


GIVEN: dict[str, Any] = dict.fromkeys(("base", "quantity_step", "min_notional", "max_leverage"))


def test_what_is_not_given_stays() -> None:
    assert operating.market_settings("S", KNOWN, GIVEN | {"max_leverage": 5}) == {
        "base": "B",
        "quantity_step": 10_000_000,
        "min_notional": 500_000_000,
        "max_leverage": 5,
    }


@pytest.mark.parametrize(
    ("symbol", "given", "why"),
    [
        ("NEW", {"base": "B"}, "Give its quantity_step, min_notional, max_leverage"),
        ("A B", {"base": "B", "quantity_step": 1, "min_notional": 0, "max_leverage": 1}, "symbol"),
        ("NEW", {"base": "USD", "quantity_step": 1, "min_notional": 0, "max_leverage": 1}, "base"),
        ("NEW", {"base": "B", "quantity_step": 0, "min_notional": 0, "max_leverage": 1}, "step"),
    ],
)
def test_a_market_that_cannot_be_is_refused(symbol: str, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        operating.market_settings(symbol, None, GIVEN | given)
