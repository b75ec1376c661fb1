"""The processing of one message: its outputs with their ids, and the accounts that it changes."""

from typing import Final

from msgspec.structs import replace
from mypy_extensions import mypyc_attr

from paceline.engine.records import Account, Order, Trade
from paceline.engine.refusals import Refusal
from paceline.engine.state import State
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse, Outbound, Reason

# Used for every instruction. When compiled, a `Final` name is a C variable; an imported name is looked up.
_BALANCE_UPDATE: Final = BalanceUpdate
_CLOSED_ORDER: Final = ClosedOrder
_ORDER_RESPONSE: Final = OrderResponse


@mypyc_attr(acyclic=True)
class Turn:
    __slots__ = ("account", "changed", "first_id", "instruction", "outputs", "prefix", "state", "time")

    def __init__(self, state: State, instruction: str = "", account: str = "") -> None:
        """For the message at the state's position. An instruction also gives its id and account."""
        self.state = state
        self.instruction = instruction
        self.account = account
        self.time = state.log_time
        self.prefix = f"{state.id_prefix}{state.position}:"
        """Prefix of the ids of this message's outputs."""
        self.first_id = self.prefix + "0"
        """Id of the first output, the answer to an instruction. The new trade or order has the same id."""
        self.outputs: list[Outbound] = []
        self.changed: dict[str, Account] = {}
        """The accounts that this message changed, in their current state, ordered by first change."""

    @property
    def response(self) -> OrderResponse:
        """The answer to the instruction, which is the first output."""
        first = self.outputs[0]
        assert type(first) is _ORDER_RESPONSE
        return first

    def next_id(self) -> str:
        return f"{self.prefix}{len(self.outputs)}"

    def accept(
        self,
        *,
        trade: str | None = None,
        order: str | None = None,
        price: int | None = None,
        quantity: int | None = None,
        fee: int | None = None,
        liquidation: int | None = None,
    ) -> None:
        self.outputs.append(
            _ORDER_RESPONSE(
                self.first_id,
                self.time,
                self.instruction,
                self.account,
                "accepted",
                None,
                trade,
                order,
                price,
                quantity,
                fee,
                liquidation,
                False,
            )
        )

    def refuse(self, code: Refusal) -> None:
        self.outputs.append(
            _ORDER_RESPONSE(
                self.first_id,
                self.time,
                self.instruction,
                self.account,
                "rejected",
                code,
                None,
                None,
                None,
                None,
                None,
                None,
                False,
            )
        )

    def repeat(self, answer: OrderResponse) -> None:
        """Repeat an earlier answer, marked as a duplicate."""
        self.outputs.append(replace(answer, id=self.first_id, time=self.time, duplicate=True))

    def trade_closed(
        self,
        trade: Trade,
        reason: Reason,
        *,
        part: int,
        exit_price: int,
        profit: int,
        fee: int,
        margin: int,
    ) -> None:
        self.outputs.append(
            _CLOSED_ORDER(
                self.next_id(),
                self.time,
                trade.account,
                trade.id,
                None,  # order
                trade.symbol,
                trade.side,
                part,
                trade.entry,
                exit_price,
                profit,
                fee,
                margin,
                trade.leverage,
                reason,
                None,  # code
                trade.quantity - part,  # remaining
                trade.opened,
                self.time,
            )
        )

    def order_closed(
        self,
        order: Order,
        reason: Reason,
        *,
        exit_price: int | None = None,
        fee: int | None = None,
        code: Refusal | None = None,
    ) -> None:
        self.outputs.append(
            ClosedOrder(
                id=self.next_id(),
                time=self.time,
                account=order.account,
                trade=None,
                order=order.id,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                entry=None,
                exit=exit_price,
                profit=None,
                fee=fee,
                margin=None,
                leverage=None,
                reason=reason,
                code=code,
                remaining=0,
                opened=order.opened,
                closed=self.time,
            )
        )

    def finish(self) -> list[Outbound]:
        """Add the balances of the changed accounts; returns all outputs."""
        outputs = self.outputs
        for account in self.changed.values():
            outputs.append(
                _BALANCE_UPDATE(
                    f"{self.prefix}{len(outputs)}",
                    self.time,
                    account.name,
                    account.cash,
                    account.margin,
                    account.locked,
                    account.free,
                    account.held,
                )
            )
        return outputs
