"""The whole state at one position: captured at once, encoded slice by slice while the engine goes on.

A snapshot is a sequence of chunks, each a JSON object `{"part": …, "rows": […]}` in UTF-8. The order is
header, markets, accounts, trades, orders, answers; rows are in the order in which they were created.
A row stays in its chunk while the engine runs. So a chunk without changes is byte for byte the same in the
next snapshot and is not stored again.
The **state hash** is SHA-256 over the same rows, one per line, so it does not depend on the slicing.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from paceline.core.errors import InvariantViolation
from paceline.engine.answers import answer_key, is_fresh
from paceline.engine.copy_on_write import SIZE
from paceline.engine.ledger import Totals
from paceline.engine.records import (
    NOTHING,
    UNSET,
    Account,
    AccountFields,
    Order,
    OrderFields,
    Trade,
    TradeFields,
)
from paceline.engine.state import HouseLedger, MarketState, State
from paceline.messages.inbound import ConfigureMarket
from paceline.messages.outbound import OrderResponse

SCHEMA_VERSION = 1
"""Version of the row format. Raise it when this code would misread a snapshot of the old format."""


T = TypeVar("T")

# Whole blocks of a shelf; encoding them takes about a third of a millisecond.
_ROWS_PER_CHUNK: Final = 4 * SIZE


class Header(Struct, array_like=True):
    schema_version: int
    shard: int
    position: int
    log_time: int
    undecodable: int
    dropped: dict[str, int]
    external: int
    fees: int
    insurance: int
    house: dict[str, int]


class MarketRow(Struct, array_like=True):
    config: ConfigureMarket
    halted: bool
    bid: int
    ask: int
    update_id: int
    accepted_us: int | None


# A trade or order with the best price that its trailing stop has seen, None if it has no trailing stop.
TradeRow = tuple[TradeFields, int | None]
OrderRow = tuple[OrderFields, int | None]
# While loading: position at which a trailing stop was set, its trade or order, the best price it has seen.
Trailing = list[tuple[int, Trade | Order, int]]


class HeaderChunk(Struct, tag_field="part", tag="header"):
    rows: list[Header]


class MarketsChunk(Struct, tag_field="part", tag="markets"):
    rows: list[MarketRow]


class AccountsChunk(Struct, tag_field="part", tag="accounts"):
    rows: list[AccountFields]


class TradesChunk(Struct, tag_field="part", tag="trades"):
    rows: list[TradeRow]


class OrdersChunk(Struct, tag_field="part", tag="orders"):
    rows: list[OrderRow]


class AnswersChunk(Struct, tag_field="part", tag="answers"):
    rows: list[OrderResponse]


Chunk = HeaderChunk | MarketsChunk | AccountsChunk | TradesChunk | OrdersChunk | AnswersChunk

_encode_lines = msgspec.json.Encoder(order="deterministic").encode_lines
_decode = msgspec.json.Decoder(Chunk).decode


class SnapshotCapture:
    """The state as it was when the capture began."""

    def __init__(self, state: State) -> None:
        self.position = state.position
        self.log_time = state.log_time
        self.accounts = len(state.accounts)
        self.open_trades = len(state.trades)
        self._header = _header(state)
        self._markets = [_market_row(market) for market in state.markets.values()]
        self._best = {symbol: market.books.best_prices() for symbol, market in state.markets.items()}
        self._accounts = state.accounts.capture()
        self._trades = state.trades.capture()
        self._orders = state.orders.capture()
        self._answers = state.answers.shelf.capture()
        self._totals = Totals(state.house)
        self._digest = hashlib.sha256()
        self._complete = False

    @property
    def hash(self) -> str:
        """SHA-256 of the captured state in hex; available after the last slice."""
        if not self._complete:
            raise InvariantViolation("the hash of a snapshot is available only after its last slice")
        return self._digest.hexdigest()

    @property
    def ledger(self) -> dict[str, dict[str, int]]:
        """Totals per asset and kind of ledger account; complete after the last slice."""
        return self._totals.by_asset

    def slices(self, rows_per_chunk: int = _ROWS_PER_CHUNK) -> Iterator[bytes]:
        """Chunks of the snapshot, of at most `rows_per_chunk` rows. The engine may run between chunks.

        The ledger is checked too: `InvariantViolation` if it does not sum to zero.
        """
        for part, groups in (
            ("header", iter([[self._header]])),
            ("markets", iter([self._markets])),
            ("accounts", map(self._account_rows, _grouped(self._accounts))),
            ("trades", map(self._trade_rows, _grouped(self._trades))),
            ("orders", map(self._order_rows, _grouped(self._orders))),
            ("answers", map(self._answer_rows, _grouped(self._answers))),
        ):
            self._digest.update(part.encode() + b"\n")
            for rows in groups:
                for at in range(0, len(rows), rows_per_chunk):
                    yield self._chunk(part, rows[at : at + rows_per_chunk])
        self._totals.check()
        self._complete = True

    def _chunk(self, part: str, rows: list[Any]) -> bytes:
        lines = _encode_lines(rows)
        self._digest.update(lines)
        # The JSON of a row contains no line end.
        return b'{"part":"' + part.encode() + b'","rows":[' + lines[:-1].replace(b"\n", b",") + b"]}"

    def _account_rows(self, accounts: list[Account]) -> list[AccountFields]:
        for account in accounts:
            self._totals.take_up(account)
        return [account.fields() for account in accounts]

    def _trade_rows(self, trades: list[Trade]) -> list[TradeRow]:
        return [(trade.fields(), self._best[trade.symbol].of_trade(trade)) for trade in trades]

    def _order_rows(self, orders: list[Order]) -> list[OrderRow]:
        return [(order.fields(), self._best[order.symbol].of_order(order)) for order in orders]

    def _answer_rows(self, answers: list[OrderResponse]) -> list[OrderResponse]:
        return [answer for answer in answers if is_fresh(answer, self.log_time)]


def _grouped(blocks: Iterable[tuple[int, list[T | None]]]) -> Iterator[list[T]]:
    """The values of a shelf's blocks, grouped by chunk. A block is always in the same chunk."""
    for _, group in groupby(blocks, lambda block: block[0] * SIZE // _ROWS_PER_CHUNK):
        yield [value for _, values in group for value in values if value is not None]


def _header(state: State) -> Header:
    house = state.house
    return Header(
        schema_version=SCHEMA_VERSION,
        shard=state.shard,
        position=state.position,
        log_time=state.log_time,
        undecodable=state.undecodable,
        dropped=dict(state.dropped),
        external=house.external,
        fees=house.fees,
        insurance=house.insurance,
        house=dict(house.house),
    )


def _market_row(market: MarketState) -> MarketRow:
    accepted_us = None if market.accepted_us == UNSET else market.accepted_us
    return MarketRow(market.config, market.halted, market.bid, market.ask, market.update_id, accepted_us)


def load(chunks: Iterable[bytes]) -> State:
    """The state from a snapshot's chunks, in their order; `InvariantViolation` if they cannot be read.

    The caller compares the hash to see whether they are complete and unchanged.
    """
    state: State | None = None
    trailing: Trailing = []
    for text in chunks:
        try:
            chunk = _decode(text)
        except msgspec.MsgspecError as error:
            raise InvariantViolation(f"a chunk of the snapshot cannot be read: {error}") from error
        if isinstance(chunk, HeaderChunk):
            state = _state_of(chunk.rows[0])
        elif state is None:
            raise InvariantViolation("the snapshot must begin with its header")
        elif isinstance(chunk, TradesChunk):
            _load_trades(state, chunk.rows, trailing)
        elif isinstance(chunk, OrdersChunk):
            _load_orders(state, chunk.rows, trailing)
        else:
            _load_other_rows(state, chunk)
    if state is None:
        raise InvariantViolation("the snapshot is empty")
    _load_trailing(state, trailing)
    return state


def _state_of(header: Header) -> State:
    if header.schema_version != SCHEMA_VERSION:
        raise InvariantViolation(
            f"the snapshot has schema version {header.schema_version}, this code reads {SCHEMA_VERSION}"
        )
    state = State(header.shard)
    state.position = header.position
    state.log_time = header.log_time
    state.undecodable = header.undecodable
    state.dropped |= header.dropped
    state.house = HouseLedger(header.external, header.fees, header.insurance, header.house)
    return state


def _load_other_rows(state: State, chunk: MarketsChunk | AccountsChunk | AnswersChunk) -> None:
    if isinstance(chunk, MarketsChunk):
        for row in chunk.rows:
            market = MarketState(row.config, state.is_live)
            market.halted = row.halted
            market.bid, market.ask, market.update_id = row.bid, row.ask, row.update_id
            market.accepted_us = UNSET if row.accepted_us is None else row.accepted_us
            state.markets[row.config.symbol] = market
    elif isinstance(chunk, AccountsChunk):
        for fields in chunk.rows:
            account = Account(*fields)
            account.free = _sorted_by_asset(account.free)
            account.held = _sorted_by_asset(account.held)
            state.accounts.add(account.name, account)
    else:
        for answer in chunk.rows:
            state.answers.shelf.add(answer_key(answer.account, answer.instruction), answer)


def _sorted_by_asset(balances: dict[str, int]) -> dict[str, int]:
    """The balances sorted by asset: the store may have changed their order."""
    return dict(sorted(balances.items())) if balances else NOTHING


def _load_trades(state: State, rows: list[TradeRow], trailing: Trailing) -> None:
    for fields, best_price in rows:
        trade = Trade(*fields)
        state.trades.add(trade.id, trade)
        state.markets[trade.symbol].books.add_fixed(trade)
        if best_price is not None:
            trailing.append((trade.trailing_stop_set, trade, best_price))


def _load_orders(state: State, rows: list[OrderRow], trailing: Trailing) -> None:
    for fields, best_price in rows:
        order = Order(*fields)
        state.orders.add(order.id, order)
        if best_price is not None:
            trailing.append((order.position, order, best_price))
        else:
            state.markets[order.symbol].books.add_order(order, 0)


def _load_trailing(state: State, trailing: Trailing) -> None:
    """Add trailing stops in order of the position at which they were set, trades and orders together."""
    for _, holder, best_price in sorted(trailing, key=lambda item: item[0]):
        books = state.markets[holder.symbol].books
        if isinstance(holder, Trade):
            books.add_trailing(holder, best_price)
        else:
            books.add_order(holder, best_price)
