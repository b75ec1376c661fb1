"""Hypothesis searches for the shortest sequence of messages on which engine and reference differ."""

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.agreement import EnginePair
from tests.support.engine_messages import UNDECODABLE, MessageGenerator, as_line

Randoms = st.randoms(use_true_random=False)


class BothEngines(RuleBasedStateMachine):
    """Each kind of message is a rule. After each step all outputs and balances must be equal."""

    @initialize(rng=Randoms, shard=st.integers(0, 9))
    def send_opening_lines(self, rng: Random, shard: int) -> None:
        self.pair = EnginePair(shard)
        self.generator = MessageGenerator(self.pair.reference)
        for line in self.generator.opening_lines(rng):
            self.pair.apply(line)

    def send(self, make: Callable[[Random], dict[str, Any]], rng: Random) -> None:
        self.pair.apply(as_line(self.generator.remembered(make(rng))))

    @rule(rng=Randoms)
    def price_moves(self, rng: Random) -> None:
        self.send(self.generator.price_update, rng)

    @rule(rng=Randoms)
    def price_is_bad(self, rng: Random) -> None:
        self.send(self.generator.bad_price_update, rng)

    @rule(rng=Randoms)
    def market_is_configured_again(self, rng: Random) -> None:
        self.send(self.generator.configure_market, rng)

    @rule(rng=Randoms)
    def something_halts_or_resumes(self, rng: Random) -> None:
        self.send(self.generator.halt_or_resume, rng)

    @rule(rng=Randoms)
    def account_opens(self, rng: Random) -> None:
        self.send(self.generator.open_account, rng)

    @rule(rng=Randoms, withdrawing=st.booleans())
    def money_moves(self, rng: Random, withdrawing: bool) -> None:
        self.send(self.generator.withdraw if withdrawing else self.generator.deposit, rng)

    @rule(rng=Randoms)
    def trade_is_created(self, rng: Random) -> None:
        self.send(self.generator.create_trade, rng)

    @rule(rng=Randoms)
    def trade_is_amended(self, rng: Random) -> None:
        self.send(self.generator.amend_trade, rng)

    @rule(rng=Randoms)
    def trade_is_closed(self, rng: Random) -> None:
        self.send(self.generator.close_trade, rng)

    @rule(rng=Randoms)
    def order_is_placed(self, rng: Random) -> None:
        self.send(self.generator.place_order, rng)

    @rule(rng=Randoms)
    def order_is_cancelled(self, rng: Random) -> None:
        self.send(self.generator.cancel_order, rng)

    @rule(rng=Randoms)
    def instruction_is_repeated(self, rng: Random) -> None:
        self.send(self.generator.repeat, rng)

    @rule(line=st.sampled_from(UNDECODABLE))
    def line_is_invalid(self, line: str) -> None:
        self.pair.apply(line)

    @rule()
    def engine_restarts(self) -> None:
        self.pair.restart_engine()

    @invariant()
    def states_are_equal(self) -> None:
        self.pair.compare_state()


BothEngines.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, database=None, print_blob=True
)
TestBothEngines = BothEngines.TestCase
