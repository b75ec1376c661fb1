"""Effects → rows of the schema `engine`. Pure: a row depends only on the effect and the trade's past.

A row is a line for COPY; its columns are in the order of `history.COLUMNS`.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from paceline.adapters.postgres.copy_rows import NULL, Line, cell
from paceline.domain.trading.open_trade import OpenTrade, amended, opened, reduced
from paceline.messages.inbound import (
    KIND_BY_TYPE,
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

Rows = defaultdict[str, list[Line]]

_CHANGES_TRADES: Final = (CreateTrade, AmendTrade)


def trades_wanted(effects: Iterable[Effect]) -> set[str]:
    """The trades whose past the rows of these effects need, without those that these effects open.

    The end of a trade needs no past: its closed order holds all of it.
    """
    wanted: set[str] = set()
    opened_here: set[str] = set()
    for effect in effects:
        kind = type(effect.message)
        for output in effect.outputs:
            if type(output) is ClosedOrder:
                if output.trade is not None and output.remaining:
                    wanted.add(output.trade)
            elif kind in _CHANGES_TRADES and type(output) is OrderResponse and _was_carried_out(output):
                assert output.trade is not None
                (opened_here if kind is CreateTrade else wanted).add(output.trade)
    return wanted - opened_here


def _was_carried_out(response: OrderResponse) -> bool:
    return response.status == "accepted" and not response.duplicate


class RowMaker:
    """Collects the rows of one batch of a shard's effects.

    `trades` holds open trades by id, including those that `trades_wanted` names, the last changed one last.
    Each effect updates it; a trade that ends is removed.
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
            elif type(output) is OrderResponse and _was_carried_out(output):
                self._accepted(effect, output)

    def _market(self, effect: Effect, market: ConfigureMarket) -> None:
        self.rows["markets"].append(
            f"{self._shard}\t{effect.position}\t{effect.time}\t{cell(market.symbol)}\t{cell(market.base)}\t"
            f"{_units(market.quantity_step)}\t{_units(market.min_notional)}\t{market.max_leverage}\t"
            f"{market.maker_rate_bps}\t{market.taker_rate_bps}\t{market.maintenance_rate_bps}\t"
            f"{market.max_price_age_us}"
        )

    def _instruction(self, effect: Effect) -> None:
        message = effect.message
        response = effect.outputs[0] if effect.outputs else None
        answer = f"{NULL}\t{NULL}\tFalse\t{NULL}"
        if type(response) is OrderResponse:
            text = encode_line(output_to_json(response)).decode()
            answer = f"{response.status}\t{cell(response.code)}\t{response.duplicate}\t{cell(text)}"
        text = encode_line(to_json(message)).decode()
        self.rows["instructions"].append(
            f"{self._shard}\t{effect.position}\t{effect.time}\t{message.time}\t{cell(message.id)}\t"
            f"{KIND_BY_TYPE[type(message)]}\t{cell(getattr(message, 'account', None))}\t"
            f"{cell(getattr(message, 'symbol', None))}\t{cell(text)}\t{answer}"
        )

    def _accepted(self, effect: Effect, response: OrderResponse) -> None:
        message = effect.message
        if type(message) is OpenAccount:
            self.rows["accounts"].append(
                f"{cell(message.account)}\t{self._shard}\t{effect.position}\t{effect.time}\t"
                f"{_units(message.initial_balance)}"
            )
            self._deposit(effect, message.account, "initial", message.initial_balance)
        elif type(message) is Deposit:
            self._deposit(effect, message.account, "deposit", message.amount)
        elif type(message) is Withdraw:
            self._deposit(effect, message.account, "withdraw", -message.amount)
        elif type(message) is CreateTrade:
            trade = opened(message, response, effect.position)
            amounts = _amounts(trade.entry, trade.quantity, trade.margin, trade.fee)
            self._change(effect, "opened", trade, amounts)
        elif type(message) is AmendTrade:
            trade = amended(self.trades[message.trade], message, effect.position)
            self._change(effect, "amended", trade, _amounts(None, 0, 0, 0))

    def _deposit(self, effect: Effect, account: str, kind: str, amount: int) -> None:
        self.rows["deposits"].append(
            f"{self._shard}\t{effect.position}\t{effect.time}\t{cell(account)}\t{kind}\t{_units(amount)}"
        )

    def _closed_order(self, effect: Effect, ordinal: int, closed: ClosedOrder) -> None:
        leverage = NULL if closed.leverage is None else closed.leverage
        self.rows["closed_orders"].append(
            f"{self._shard}\t{effect.position}\t{ordinal}\t{effect.time}\t{cell(closed.account)}\t"
            f"{cell(closed.trade)}\t{cell(closed.order)}\t{cell(closed.symbol)}\t{closed.side}\t"
            f"{closed.quantity}e-8\t{_units(closed.entry)}\t{_units(closed.exit)}\t{_units(closed.profit)}\t"
            f"{_units(closed.fee)}\t{_units(closed.margin)}\t{leverage}\t{closed.reason}\t{cell(closed.code)}\t"
            f"{closed.remaining}e-8\t{closed.opened}\t{closed.closed}"
        )
        if closed.trade is None:
            return
        if closed.remaining:
            trade = reduced(self.trades[closed.trade], closed, effect.position)
            amounts = _amounts(closed.exit, closed.quantity, closed.margin, closed.fee)
            self._change(effect, "reduced", trade, amounts, ordinal=ordinal, closed=closed)
        else:
            self.trades.pop(closed.trade, None)

    def _change(
        self,
        effect: Effect,
        event: str,
        trade: OpenTrade,
        amounts: tuple[str, str, str, str],
        *,
        ordinal: int = 0,
        closed: ClosedOrder | None = None,
    ) -> None:
        self.trades.pop(trade.trade, None)
        self.trades[trade.trade] = trade
        price, quantity, margin, fee = amounts
        result = f"{_units(closed.profit)}\t{closed.reason}" if closed else f"{NULL}\t{NULL}"
        self.rows["trade_changes"].append(
            f"{self._shard}\t{effect.position}\t{ordinal}\t{effect.time}\t{cell(trade.account)}\t"
            f"{cell(trade.trade)}\t{event}\t{cell(trade.symbol)}\t{trade.side}\t{trade.leverage}\t"
            f"{trade.entry}e-8\t{price}\t{quantity}\t{trade.quantity}e-8\t{margin}\t{trade.margin}e-8\t{fee}\t"
            f"{result}\t{_units(trade.stop_loss)}\t{_units(trade.take_profit)}\t{_units(trade.trailing_stop)}\t"
            f"{_units(trade.liquidation)}\t{trade.opened}"
        )

    def _balance(self, effect: Effect, ordinal: int, update: BalanceUpdate) -> None:
        data = output_to_json(update) if update.balances or update.locked_balances else None
        free = cell(encode_line(data["balances"]).decode()) if data else "{}"
        held = cell(encode_line(data["locked_balances"]).decode()) if data else "{}"
        self.rows["balances"].append(
            f"{self._shard}\t{effect.position}\t{ordinal}\t{effect.time}\t{cell(update.account)}\t"
            f"{update.cash}e-8\t{update.margin}e-8\t{update.locked}e-8\t{free}\t{held}"
        )


def _units(value: int | None) -> str:
    """A scaled integer as text that Postgres reads as the exact amount in units."""
    return NULL if value is None else f"{value}e-8"


def _amounts(
    price: int | None, quantity: int, margin: int | None, fee: int | None
) -> tuple[str, str, str, str]:
    return _units(price), _units(quantity), _units(margin), _units(fee)
