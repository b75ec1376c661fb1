"""Operator instructions to all shards, and the result when some shards are unavailable."""

import time
from typing import Any

import pytest

from paceline.core.errors import ConflictError, NotFoundError, TransientError, UnknownError, ValidationError
from paceline.messages.inbound import Deposit, HaltMarket, ResumeMarket, Withdraw
from paceline.ports.operations import OperatorAccount, OperatorMarket
from paceline.usecases.operations import operating
from paceline.usecases.trading.instructions import TradingGateway
from tests.support.fakes.operations.control import FakeOperatorStore
from tests.support.fakes.store import make_unavailable
from tests.support.fakes.trading.instructions import FakeAnswers, FakeInstructionLog, FakePrices, FakeReplies

HALT = HaltMarket("operator-1", 9, "S")
ACCOUNT = OperatorAccount(
    account="a", shard=0, opened=1, halted=False, cash="9", margin="0", locked="0", open_trades=0,
    email=None, display_name=None, role=None,
)  # fmt: skip
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
        self.control.taken.append((self.log.appended[-1][1], message))

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
    blind.log.on_append = lambda _: make_unavailable(blind.control)
    assert instruct_all_shards(blind).status == "pending"


def test_nothing_is_sent_while_it_is_unknown_which_shards_have_the_instruction() -> None:
    world = World()
    world.control.available = False
    with pytest.raises(TransientError):
        instruct_all_shards(world)
    assert world.log.appended == []


def test_a_late_repetition_is_sent_to_no_shard() -> None:
    """The engine applies a halt each time it reads it, and the market has been resumed since."""
    world = World()
    first = instruct_all_shards(world)
    resumed = ResumeMarket("operator-2", 10, "S")
    operating.instruct_all_shards(world.gateway(), world.control, resumed)
    assert instruct_all_shards(world) == first
    assert [message for message, _ in world.log.appended] == [HALT] * 3 + [resumed] * 3


def test_a_repetition_is_sent_to_the_shards_that_lack_the_instruction() -> None:
    world = World()
    world.control.taken.append((1, HALT))
    assert instruct_all_shards(world).shards == [0, 1, 2]
    assert world.log.appended == [(HALT, 0), (HALT, 2)]


def test_a_repetition_that_is_not_sent_raises_unknown_error_if_a_shard_has_it() -> None:
    world = World()
    world.control.taken.append((1, HALT))
    world.log.available = False
    with pytest.raises(UnknownError, match="shards 0, 2 may"):
        instruct_all_shards(world)


@pytest.mark.parametrize(
    "other", [HaltMarket(HALT.id, 9, "T"), ResumeMarket(HALT.id, 9, "S")], ids=lambda one: type(one).__name__
)
def test_another_instruction_with_the_same_id_is_a_conflict(other: HaltMarket | ResumeMarket) -> None:
    world = World()
    instruct_all_shards(world)
    with pytest.raises(ConflictError) as caught:
        operating.instruct_all_shards(world.gateway(), world.control, other)
    assert caught.value.code == "IDEMPOTENCY_KEY_REUSED"
    assert len(world.log.appended) == 3


@pytest.mark.parametrize("message", [Deposit("k", 9, "a", 5), Withdraw("k", 9, "a", 4)])
def test_a_transfer_with_the_id_of_another_instruction_is_a_conflict(message: Deposit | Withdraw) -> None:
    world = World()
    world.control.held.append(ACCOUNT)
    world.control.taken.append((0, Deposit("k", 1, "a", 4)))
    with pytest.raises(ConflictError):
        operating.transfer(world.gateway(), world.control, message)
    assert world.log.appended == []


def test_operators_have_ids_of_their_own() -> None:
    ids = {operating.operator_id("key", account) for account in ("0" * 20, "1" * 20)}
    ids.add(operating.operator_id("key"))
    assert len(ids) == 3
    assert all(name.startswith(operating.OPERATOR_ID_PREFIX) for name in ids)


def test_an_unavailable_log_raises_transient_error() -> None:
    world = World()
    world.log.available = False
    with pytest.raises(TransientError):
        instruct_all_shards(world)


def test_an_instruction_sent_to_some_shards_only_raises_unknown_error() -> None:
    world = World()
    world.log.failing_shards.add(1)
    with pytest.raises(UnknownError, match="shards 1, 2 may"):
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
