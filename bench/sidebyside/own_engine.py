"""Paceline's engine: a trade with two levels after each 20th quote; limit orders and cancels."""

from collections import Counter
from collections.abc import Sequence

from bench.core import apply_all, run_batches, settle_memory
from bench.core_load import SYMBOL, encoded, market
from bench.sidebyside import work
from paceline.engine import Engine
from paceline.messages.inbound import CancelOrder, CreateTrade, Inbound, OpenAccount, PlaceOrder, PriceUpdate
from paceline.messages.outbound import ClosedOrder, OrderResponse

ACCOUNT = "side-by-side"
LEVERAGE = 5
BALANCE = 1_000_000_000 * work.SCALE


def opening(first: work.Quote) -> list[Inbound]:
    """A market with a price, and an account with cash and enough of the asset for all sells."""
    return [
        market(),
        OpenAccount("account", first.time_us, ACCOUNT, BALANCE),
        price(0, first),
        PlaceOrder("stock", first.time_us, ACCOUNT, SYMBOL, "buy", "market", quantity=200 * work.SCALE),
    ]


def price(number: int, quote: work.Quote) -> PriceUpdate:
    return PriceUpdate(
        f"p{number}", quote.time_us, SYMBOL, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity,
        number, quote.time_us,
    )  # fmt: skip


def trade(number: int, time_us: int, wanted: work.Bracket) -> CreateTrade:
    return CreateTrade(
        f"c{number}", time_us, ACCOUNT, SYMBOL, "long" if wanted.long else "short",
        margin=work.NOTIONAL // LEVERAGE, leverage=LEVERAGE,
        stop_loss=wanted.stop_loss, take_profit=wanted.take_profit,
    )  # fmt: skip


def with_brackets(quotes: Sequence[work.Quote]) -> list[Inbound]:
    wanted = dict(work.brackets(quotes))
    messages: list[Inbound] = []
    for number, quote in enumerate(quotes):
        messages.append(price(number + 1, quote))
        if number in wanted:
            messages.append(trade(number, quote.time_us, wanted[number]))
    return messages


def with_limit_orders(position: int, quotes: Sequence[work.Quote]) -> list[Inbound]:
    """`position` is that of the first message. An order's id contains the position of its message."""
    orders: dict[int, list[work.LimitOrder]] = {}
    for at, order in work.limit_orders(quotes):
        orders.setdefault(at, []).append(order)
    messages: list[Inbound] = []
    ids: dict[int, str] = {}
    for at, quote in enumerate(quotes):
        messages.append(price(at + 1, quote))
        for order in orders[at]:
            ids.setdefault(order.key, f"0:{position + len(messages)}:0")
            messages.append(limit_order(order, quote.time_us, ids[order.key]))
    return messages


def limit_order(order: work.LimitOrder, time_us: int, id_: str) -> PlaceOrder | CancelOrder:
    if order.cancels is not None:
        return CancelOrder(f"x{order.key}", time_us, ACCOUNT, id_)
    return PlaceOrder(
        f"l{order.key}", time_us, ACCOUNT, SYMBOL, "buy" if order.buy else "sell", "limit",
        quantity=work.QUANTITY, price=order.price,
    )  # fmt: skip


def engine_with_market(first: work.Quote) -> Engine:
    engine = Engine()
    apply_all(engine, opening(first))
    return engine


def outcome(first: work.Quote, messages: Sequence[Inbound]) -> Counter[str]:
    """The number of closed orders by reason. `RuntimeError` if an instruction is refused: not comparable."""
    reasons: Counter[str] = Counter()
    for effect in engine_with_market(first).apply_batch(messages):
        for output in effect.outputs:
            if isinstance(output, OrderResponse) and output.code is not None:
                raise RuntimeError(f"refused: {output.code} {effect.message}")
            if isinstance(output, ClosedOrder):
                reasons[output.reason] += 1
    return reasons


def run(
    first: work.Quote, what: str, messages: Sequence[Inbound], quotes: int, orders: int
) -> list[work.Measured]:
    """Measures the engine with decoding and encoding of the log, and its `apply` alone."""
    reasons = outcome(first, messages)
    closed = reasons["stop_loss"] + reasons["take_profit"] if quotes and orders else None
    batches = encoded(messages)
    with_codec, without_codec = engine_with_market(first), engine_with_market(first)
    settle_memory()
    seconds = work.timed(lambda: run_batches(with_codec, batches))
    alone = work.timed(lambda: apply_all(without_codec, messages))
    if with_codec.state_hash() != without_codec.state_hash():
        raise RuntimeError("the state must be the same with and without decoding")
    return [
        work.Measured(work.OURS, what, quotes, orders, *seconds, closed=closed),
        work.Measured(f"{work.OURS}, apply alone", what, quotes, orders, *alone, closed=closed),
    ]


def measure(quotes: list[work.Quote]) -> list[work.Measured]:
    first, count = quotes[0], len(quotes)
    brackets = with_brackets(quotes)
    limits = with_limit_orders(engine_with_market(first).position, quotes)
    prices = [price(number + 1, quote) for number, quote in enumerate(quotes)]
    return [
        *run(first, work.BRACKETS, brackets, count, (len(brackets) - count) * work.ORDERS_PER_BRACKET),
        *run(first, work.QUOTES, prices, count, 0),
        *run(first, work.LIMIT_ORDERS, limits, 0, len(limits) - count),
    ]


if __name__ == "__main__":
    work.run_contender(measure)
