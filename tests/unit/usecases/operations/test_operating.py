"""Operator instructions to all shards, and the result when some shards are unavailable."""

import time
from typing import Any

import pytest

from paceline.core.errors import NotFoundError, TransientError, UnknownError, ValidationError
from paceline.messages.inbound import HaltMarket
from paceline.ports.operations import OperatorMarket
from paceline.usecases.operations import operating
from paceline.usecases.trading.instructions import TradingGateway
from tests.support.fakes.operations.control import FakeOperatorStore
from tests.support.fakes.trading.instructions import FakeAnswers, FakeInstructionLog, FakePrices, FakeReplies

HALT = HaltMarket("operator-1", 9, "S")
KNOWN = OperatorMarket(
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
    """A fake log and `Control`, with engines that process each message at once."""

    def __init__(self, *, engines_run: bool = True) -> None:
        self.control = FakeOperatorStore(KNOWN)
        self.log = FakeInstructionLog(self._take if engines_run else lambda _: None)

    def _take(self, message: Any) -> None:
        shard = self.log.appended[-1][1]
        self.control.taken.append((shard, message.id, getattr(message, "account", None)))

    def gateway(self) -> TradingGateway:
        return TradingGateway(
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


def instruct_all_shards(world: World) -> operating.Outcome:
    return operating.instruct_all_shards(world.gateway(), world.control, HALT)


def test_an_instruction_is_done_when_all_shards_have_processed_it() -> None:
    world = World()
    assert instruct_all_shards(world) == operating.Outcome(
        instruction="operator-1", status="done", shards=[0, 1, 2]
    )
    assert world.log.appended == [(HALT, shard) for shard in range(3)]


def test_an_instruction_not_processed_in_time_is_pending() -> None:
    assert instruct_all_shards(World(engines_run=False)).status == "pending"
    blind = World()
    blind.control.available = False
    assert instruct_all_shards(blind).status == "pending"


def test_an_unavailable_log_raises_transient_error() -> None:
    world = World()
    world.log.available = False
    with pytest.raises(TransientError):
        instruct_all_shards(world)


def test_an_instruction_sent_to_some_shards_only_raises_unknown_error() -> None:
    world = World()
    world.log.failing_shards.add(1)
    with pytest.raises(UnknownError, match="shards 1 to 2"):
        instruct_all_shards(world)
    assert 2 not in {shard for _, shard in world.log.appended}


def test_an_unknown_market_is_not_found() -> None:
    assert operating.require_market(FakeOperatorStore(KNOWN), "S") == "S"
    with pytest.raises(NotFoundError):
        operating.require_market(FakeOperatorStore(KNOWN), "T")


GIVEN: dict[str, Any] = dict.fromkeys(("base", "quantity_step", "min_notional", "max_leverage"))


def test_settings_that_are_not_given_stay() -> None:
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
def test_an_invalid_market_is_refused(symbol: str, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        operating.market_settings(symbol, None, GIVEN | given)
