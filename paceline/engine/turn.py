"""One message's turn: its outputs with their ids, and the accounts that it changes."""

import msgspec

from paceline.engine.records import Order, Trade
from paceline.engine.refusals import Refusal
from paceline.engine.state import State
from paceline.messages.inbound import User
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse, Outbound, Reason


class Turn:
    __slots__ = ("_prefix", "changed", "outputs", "state", "time")

    def __init__(self, state: State) -> None:
        self.state = state
        self.time = state.log_time
        self.outputs: list[Outbound] = []
        self.changed: dict[str, None] = {}
        """Names of the accounts that this message changed, in the order in which it first changed them."""
        self._prefix = f"{state.shard}:{state.position}:"

    def next_id(self) -> str:
        return f"{self._prefix}{len(self.outputs)}"

    def accept(
        self,
        message: User,
        *,
        trade: str | None = None,
        order: str | None = None,
        price: int | None = None,
        quantity: int | None = None,
        fee: int | None = None,
        liquidation: int | None = None,
    ) -> None:
        self.outputs.append(
            OrderResponse(
                f"{self._prefix}0",  # always the first output
                self.time,
                message.id,
                message.account,
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

    def refuse(self, message: User, code: Refusal) -> None:
        self.outputs.append(
            OrderResponse(
                self.next_id(),
                self.time,
                message.id,
                message.account,
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

    @property
    def response(self) -> OrderResponse:
        """The answer to the instruction, which is the first output."""
        first = self.outputs[0]
        assert isinstance(first, OrderResponse)
        return first

    def repeat(self, answer: OrderResponse) -> None:
        """The answer that was given before, again."""
        self.outputs.append(
            msgspec.structs.replace(answer, id=self.next_id(), time=self.time, duplicate=True)
        )

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
            ClosedOrder(
                id=self.next_id(),
                time=self.time,
                account=trade.account,
                trade=trade.id,
                order=None,
                symbol=trade.symbol,
                side=trade.side,
                quantity=part,
                entry=trade.entry,
                exit=exit_price,
                profit=profit,
                fee=fee,
                margin=margin,
                leverage=trade.leverage,
                reason=reason,
                code=None,
                remaining=trade.quantity - part,
                opened=trade.opened,
                closed=self.time,
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
        """Add the balances of the accounts that changed; returns all outputs."""
        for name in self.changed:
            account = self.state.accounts.get(name)
            assert account is not None
            self.outputs.append(
                BalanceUpdate(
                    self.next_id(),
                    self.time,
                    name,
                    account.cash,
                    account.margin,
                    account.locked,
                    account.free,
                    account.held,
                )
            )
        return self.outputs
