"""Effects → rows of schema `engine`. Pure: what a row says follows from the effect and the trade's past."""

from collections import defaultdict
from collections.abc import Iterable

from paceline.adapters.postgres.copy_rows import Row
from paceline.domain.open_trade import OpenTrade, amended, opened, reduced
from paceline.messages.inbound import (
    KINDS,
    AmendTrade,
    ConfigureMarket,
    CreateTrade,
    Deposit,
    OpenAccount,
    PriceUpdate,
    Withdraw,
)
from paceline.messages.json_form import encode_line, output_to_json, to_json
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, Effect, OrderResponse

Rows = defaultdict[str, list[Row]]


def trades_wanted(effects: Iterable[Effect]) -> set[str]:
    """The trades whose past the rows of these effects need and that these effects do not open themselves."""
    wanted: set[str] = set()
    born: set[str] = set()
    for effect in effects:
        for output in effect.outputs:
            if type(output) is ClosedOrder and output.trade is not None:
                wanted.add(output.trade)
            elif type(output) is OrderResponse and _did_something(output) and output.trade is not None:
                (born if type(effect.message) is CreateTrade else wanted).add(output.trade)
    return wanted - born


def _did_something(response: OrderResponse) -> bool:
    return response.status == "accepted" and not response.duplicate


class RowMaker:
    """Collects the rows of one batch of a shard's effects.

    `trades` holds the past of the trades concerned by id and is moved on as the effects go by; those
    that have ended stay in it with a quantity of 0.
    """

    def __init__(self, shard: int, trades: dict[str, OpenTrade]) -> None:
        self.rows: Rows = defaultdict(list)
        self.trades = trades
        self._shard = shard

    def add(self, effect: Effect) -> None:
        message = effect.message
        if type(message) is ConfigureMarket:
            self._market(effect, message)
        if type(message) is not PriceUpdate:
            self._instruction(effect)
        for ordinal, output in enumerate(effect.outputs):
            if type(output) is ClosedOrder:
                self._closed_order(effect, ordinal, output)
            elif type(output) is BalanceUpdate:
                self._balance(effect, ordinal, output)
            elif type(output) is OrderResponse and _did_something(output):
                self._accepted(effect, output)

    def _market(self, effect: Effect, message: ConfigureMarket) -> None:
        self.rows["markets"].append(
            (
                self._shard,
                effect.position,
                effect.time,
                message.symbol,
                message.base,
                _numeric(message.quantity_step),
                _numeric(message.min_notional),
                message.max_leverage,
                message.maker_rate_bps,
                message.taker_rate_bps,
                message.maintenance_rate_bps,
                message.max_price_age_us,
            )
        )

    def _instruction(self, effect: Effect) -> None:
        message = effect.message
        response = effect.outputs[0] if effect.outputs else None
        answer: Row = (None, None, False, None)
        if type(response) is OrderResponse:
            text = encode_line(output_to_json(response)).decode()
            answer = (response.status, response.code, response.duplicate, text)
        self.rows["instructions"].append(
            (
                self._shard,
                effect.position,
                effect.time,
                message.time,
                message.id,
                KINDS[type(message)],
                getattr(message, "account", None),
                getattr(message, "symbol", None),
                encode_line(to_json(message)).decode(),
                *answer,
            )
        )

    def _accepted(self, effect: Effect, response: OrderResponse) -> None:
        message = effect.message
        at = (self._shard, effect.position, effect.time)
        if type(message) is OpenAccount:
            amount = _numeric(message.initial_balance)
            self.rows["accounts"].append((message.account, self._shard, effect.position, effect.time, amount))
            self.rows["deposits"].append((*at, message.account, "initial", amount))
        elif type(message) is Deposit:
            self.rows["deposits"].append((*at, message.account, "deposit", _numeric(message.amount)))
        elif type(message) is Withdraw:
            self.rows["deposits"].append((*at, message.account, "withdraw", _numeric(-message.amount)))
        elif type(message) is CreateTrade:
            trade = opened(message, response, effect.position)
            self._event(effect, "opened", trade, _sums(trade.entry, trade.quantity, trade.margin, trade.fee))
        elif type(message) is AmendTrade:
            trade = amended(self.trades[message.trade], message, effect.position)
            self._event(effect, "amended", trade, _sums(None, 0, 0, 0))

    def _closed_order(self, effect: Effect, ordinal: int, closed: ClosedOrder) -> None:
        numbers = (closed.quantity, closed.entry, closed.exit, closed.profit, closed.fee, closed.margin)
        self.rows["closed_orders"].append(
            (
                self._shard,
                effect.position,
                ordinal,
                effect.time,
                closed.account,
                closed.trade,
                closed.order,
                closed.symbol,
                closed.side,
                *map(_numeric, numbers),
                closed.leverage,
                closed.reason,
                closed.code,
                _numeric(closed.remaining),
                closed.opened,
                closed.closed,
            )
        )
        if closed.trade is None:
            return
        trade = reduced(self.trades[closed.trade], closed, effect.position)
        sums = _sums(closed.exit, closed.quantity, closed.margin, closed.fee)
        event = "reduced" if closed.remaining else "closed"
        self._event(effect, event, trade, sums, ordinal=ordinal, closed=closed)

    def _event(
        self,
        effect: Effect,
        event: str,
        trade: OpenTrade,
        sums: tuple[str | None, ...],
        *,
        ordinal: int = 0,
        closed: ClosedOrder | None = None,
    ) -> None:
        profit, reason = (_numeric(closed.profit), closed.reason) if closed else (None, None)
        self.trades[trade.trade] = trade
        price, quantity, margin, fee = sums
        levels = (trade.stop_loss, trade.take_profit, trade.trailing_stop, trade.liquidation)
        self.rows["trade_events"].append(
            (
                self._shard,
                effect.position,
                ordinal,
                effect.time,
                trade.account,
                trade.trade,
                event,
                trade.symbol,
                trade.side,
                trade.leverage,
                _numeric(trade.entry),
                price,
                quantity,
                _numeric(trade.quantity),
                margin,
                _numeric(trade.margin),
                fee,
                profit,
                reason,
                *map(_numeric, levels),
                trade.opened,
            )
        )

    def _balance(self, effect: Effect, ordinal: int, update: BalanceUpdate) -> None:
        data = output_to_json(update) if update.balances or update.locked_balances else None
        free = encode_line(data["balances"]).decode() if data else "{}"
        locked = encode_line(data["locked_balances"]).decode() if data else "{}"
        self.rows["balances"].append(
            (
                self._shard,
                effect.position,
                ordinal,
                effect.time,
                update.account,
                _numeric(update.cash),
                _numeric(update.margin),
                _numeric(update.locked),
                free,
                locked,
            )
        )


def _numeric(value: int | None) -> str | None:
    """Text that Postgres reads as the exact number of units of a scaled integer."""
    return None if value is None else f"{value}e-8"


def _sums(price: int | None, quantity: int, margin: int | None, fee: int | None) -> tuple[str | None, ...]:
    return (_numeric(price), _numeric(quantity), _numeric(margin), _numeric(fee))
