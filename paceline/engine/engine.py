"""The engine of one shard: `(state, message) → (state, outputs)`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from msgspec import Struct

from paceline.engine import accounts, ledger, markets, orders, snapshot, trades
from paceline.engine.answers import answer_key
from paceline.engine.records import UNSET, Account, Order, Trade
from paceline.engine.refusals import Refusal
from paceline.engine.state import State
from paceline.engine.turn import Turn
from paceline.messages.inbound import (
    AmendTrade,
    CancelOrder,
    CloseTrade,
    ConfigureMarket,
    CreateTrade,
    Deposit,
    HaltAccount,
    HaltMarket,
    Inbound,
    OpenAccount,
    PlaceOrder,
    PriceUpdate,
    ResumeAccount,
    ResumeMarket,
    Withdraw,
)
from paceline.messages.log_form import Undecodable
from paceline.messages.outbound import Effect, Outbound

Handler = Callable[[Turn, Any, Account], Refusal | None]
_INSTRUCTIONS: Final[dict[type[Struct], Handler]] = {
    OpenAccount: accounts.exists_already,
    Deposit: accounts.deposit,
    Withdraw: accounts.withdraw,
    CreateTrade: trades.create_trade,
    AmendTrade: trades.amend_trade,
    CloseTrade: trades.close_trade,
    PlaceOrder: orders.place_order,
    CancelOrder: orders.cancel_order,
}
_ADMIN: Final[dict[type[Struct], Callable[[State, Any], None]]] = {
    ConfigureMarket: markets.configure_market,
    HaltMarket: markets.halt_market,
    ResumeMarket: markets.halt_market,
    HaltAccount: markets.halt_account,
    ResumeAccount: markets.halt_account,
}

# Used for every message. When compiled, a `Final` name is a C variable; an imported name is looked up.
_EFFECT: Final = Effect
_PRICE_UPDATE: Final = PriceUpdate


class EngineStats(NamedTuple):
    """`dropped` counts price updates that were not accepted, by reason."""

    accounts: int
    open_trades: int
    resting_orders: int
    dropped: dict[str, int]
    undecodable: int


class Engine:
    __slots__ = ("_state",)

    def __init__(self, shard: int = 0) -> None:
        self._state = State(shard)

    def apply(self, message: Inbound) -> list[Outbound]:
        """Apply the message at `position`; returns its outputs in order of their ordinals."""
        state = self._state
        time: int = message.time
        if time > state.log_time:  # noqa: PLR1730  (max() is a call, and this is once a tick)
            state.log_time = time
        if type(message) is _PRICE_UPDATE:
            outputs = markets.update_price(state, message)
        elif handler := _INSTRUCTIONS.get(type(message)):
            outputs = _instruct(state, message, handler)
        else:
            outputs = []
            _ADMIN[type(message)](state, message)
        state.position += 1
        return outputs

    def apply_batch(
        self, messages: Iterable[Inbound | Undecodable], most_outputs: int | None = None
    ) -> list[Effect]:
        """Apply messages in order; returns the effects for `engine.out`.

        Every instruction of a user or operator has an effect, and each price update that triggered something.
        The batch ends early after the message that reaches `most_outputs`; `position` shows where.
        """
        outputs_left = -1 if most_outputs is None else most_outputs
        state = self._state
        effects: list[Effect] = []
        for message in messages:
            if type(message) is _PRICE_UPDATE:
                outputs = self.apply(message)
                if not outputs:
                    continue
            elif type(message) is Undecodable:
                self.apply_undecodable()
                continue
            else:
                outputs = self.apply(message)
            effects.append(_EFFECT(state.position - 1, state.log_time, message, outputs))
            if outputs_left >= 0 and (outputs_left := outputs_left - len(outputs)) <= 0:
                break
        return effects

    def apply_undecodable(self) -> None:
        """Count a message that could not be decoded: it has a position, but no effect and no time."""
        self._state.undecodable += 1
        self._state.position += 1

    @property
    def shard(self) -> int:
        return self._state.shard

    @property
    def position(self) -> int:
        """Number of messages applied, which is the position of the next message."""
        return self._state.position

    @property
    def undecodable(self) -> int:
        """Number of applied messages that could not be decoded."""
        return self._state.undecodable

    @property
    def log_time(self) -> int:
        """The highest message time so far, µs; 0 at the start."""
        return self._state.log_time

    def begin_capture(self) -> snapshot.SnapshotCapture:
        """The current state, to be encoded slice by slice while the engine applies further messages."""
        return snapshot.SnapshotCapture(self._state)

    def dump_slices(self) -> Iterator[bytes]:
        """Chunks of a snapshot of the current state; see `begin_capture` for its position and hash."""
        return self.begin_capture().slices()

    @classmethod
    def load(cls, chunks: Iterable[bytes]) -> "Engine":
        """The engine from a snapshot's chunks. Compare its `state_hash()` before using it."""
        engine = cls()
        engine._state = snapshot.load(chunks)
        return engine

    def state_hash(self) -> str:
        """SHA-256 of the whole state in hex (see `snapshot`)."""
        capture = self.begin_capture()
        deque(capture.slices(), maxlen=0)  # the hash is known after the last slice
        return capture.hash

    def stats(self) -> EngineStats:
        state = self._state
        return EngineStats(
            len(state.accounts), len(state.trades), len(state.orders), dict(state.dropped), state.undecodable
        )

    def ledger(self) -> dict[str, dict[str, int]]:
        """Totals per asset and kind of ledger account."""
        return ledger.totals(self._state).by_asset

    def check_ledger(self) -> None:
        """`InvariantViolation` if postings do not sum to zero or an account's balance is negative."""
        ledger.totals(self._state).check()

    def account_view(self, account: str) -> Account | None:
        return self._state.accounts.get(account)

    def accounts(self) -> Iterator[Account]:
        """All accounts, in the order in which they were opened."""
        return iter(self._state.accounts)

    def open_trade(self, trade: str) -> Trade | None:
        return self._state.trades.get(trade)

    def open_trades(self) -> Iterator[Trade]:
        """All open trades, in the order in which they were opened."""
        return iter(self._state.trades)

    def resting_order(self, order: str) -> Order | None:
        return self._state.orders.get(order)

    def resting_orders(self) -> Iterator[Order]:
        """All resting orders, in the order in which they were placed."""
        return iter(self._state.orders)

    def trailing_level(self, trade: Trade) -> int | None:
        """The current level of an open trade's trailing stop; None if it has none."""
        best_price = self._state.markets[trade.symbol].books.best_prices().of_trade(trade)
        if best_price is None or trade.trailing_stop is None:
            return None
        return best_price + (-trade.trailing_stop if trade.side == "long" else trade.trailing_stop)

    def price_of(self, symbol: str) -> tuple[int, int] | None:
        """The last accepted `(bid, ask)`; None before the first."""
        market = self._state.markets.get(symbol)
        return None if market is None or market.accepted_us == UNSET else (market.bid, market.ask)


def _instruct(state: State, message: Any, handler: Handler) -> list[Outbound]:
    """Execute or refuse a user's instruction. If it was answered in the last 24 h, repeat that answer."""
    account = state.accounts.get(message.account)
    if account is None:
        return _instruct_unknown_account(Turn(state, message.id, message.account), message)
    # All trades and answers of an account share one string object for its name.
    turn = Turn(state, message.id, account.name)
    key = answer_key(turn.account, turn.instruction)
    if answer := state.answers.recall(key, state.log_time):
        turn.repeat(answer)
        return turn.outputs
    if refusal := handler(turn, message, account):
        assert not turn.outputs
        assert not turn.changed
        turn.refuse(refusal)
    answer = turn.response
    assert answer.id == turn.first_id  # the answer is the first output
    state.answers.remember(key, answer)
    return turn.finish()


def _instruct_unknown_account(turn: Turn, message: Any) -> list[Outbound]:
    """An account that does not exist can only be opened. The ids of its instructions are not stored."""
    if isinstance(message, OpenAccount):
        accounts.open_account(turn, message)
    else:
        turn.refuse("ACCOUNT_NOT_FOUND")
    return turn.finish()
