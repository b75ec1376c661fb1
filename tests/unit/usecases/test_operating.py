"""Instructions to all shards: what is told when some of them cannot be reached."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from paceline.core.errors import NotFoundError, TransientError, UnknownError, ValidationError
from paceline.messages.inbound import Admin, HaltMarket, User
from paceline.ports.control import MarketControl
from paceline.usecases import operating
from paceline.usecases.trading import Desk

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


@dataclass
class World:
    """The log and what the writer has stored; `fails` maps shards to errors of the log."""

    fails: dict[int, Exception] = field(default_factory=dict)
    engines_run: bool = True
    postgres_away: bool = False
    appended: list[tuple[int, User | Admin]] = field(default_factory=list)

    def append(self, message: User | Admin, shard: int) -> None:
        if shard in self.fails:
            raise self.fails[shard]
        self.appended.append((shard, message))

    def shards_with(self, instruction: str, account: str | None) -> set[int]:
        if self.postgres_away:
            raise TransientError("away")
        return {shard for shard, m in self.appended if m.id == instruction} if self.engines_run else set()

    def markets(self) -> list[MarketControl]:
        return [KNOWN]


def desk_of(world: Any) -> Desk:
    return Desk(
        log=world,
        replies=world,
        answers=world,
        prices=world,
        now_us=lambda: 9,
        shards=3,
        reply_timeout_ms=60,
        default_slippage_bps=50,
        initial_balance=1,
    )


def instruct(world: Any) -> operating.Outcome:
    return operating.instruct(desk_of(world), world, HALT)


def test_every_shard_gets_it_and_it_is_done_once_all_have_taken_it() -> None:
    world = World()
    assert instruct(world) == operating.Outcome(instruction="operator-1", status="done", shards=[0, 1, 2])
    assert world.appended == [(shard, HALT) for shard in range(3)]


def test_what_no_engine_has_taken_in_time_is_pending() -> None:
    assert instruct(World(engines_run=False)).status == "pending"
    assert instruct(World(postgres_away=True)).status == "pending"


def test_a_log_that_takes_nothing_is_told_as_not_done() -> None:
    with pytest.raises(TransientError):
        instruct(World(fails={0: TransientError("away")}))


@pytest.mark.parametrize("error", [TransientError("away"), UnknownError("timeout")])
def test_what_reached_some_shards_only_is_told_as_unknown(error: Exception) -> None:
    world = World(fails={1: error})
    with pytest.raises(UnknownError, match="shards 1 to 2"):
        instruct(world)
    assert [shard for shard, _ in world.appended] == [0]


def test_an_unknown_market_is_not_halted() -> None:
    world: Any = World()
    assert operating.known_market(world, "S") == "S"
    with pytest.raises(NotFoundError):
        operating.known_market(world, "T")


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
        ("NEW", {"base": "B"}, "say its quantity_step, min_notional, max_leverage"),
        ("A B", {"base": "B", "quantity_step": 1, "min_notional": 0, "max_leverage": 1}, "symbol"),
        ("NEW", {"base": "USD", "quantity_step": 1, "min_notional": 0, "max_leverage": 1}, "base"),
        ("NEW", {"base": "B", "quantity_step": 0, "min_notional": 0, "max_leverage": 1}, "step"),
    ],
)
def test_a_market_that_cannot_be_is_refused(symbol: str, given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        operating.market_settings(symbol, None, GIVEN | given)
