"""lightmatchingengine: limit orders that match each other, and cancels. It has no quotes and no accounts."""

from importlib.metadata import version

from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

from bench.sidebyside import work

WHO = f"lightmatchingengine {version('lightmatchingengine')}"
INSTRUMENT = "BTC"


def measure(quotes: list[work.Quote]) -> list[work.Measured]:
    orders = [order for _, order in work.limit_orders(quotes)]
    engine = LightMatchingEngine()
    trades = 0

    def run() -> None:
        nonlocal trades
        ids: dict[int, int] = {}
        for order in orders:
            if order.cancels is None:
                side = Side.BUY if order.buy else Side.SELL
                placed, made = engine.add_order(INSTRUMENT, order.price, work.QUANTITY, side)
                ids[order.key] = placed.order_id
                trades += len(made)
            else:
                engine.cancel_order(ids[order.cancels], INSTRUMENT)

    seconds = work.timed(run)
    if not trades:
        raise RuntimeError("no two orders match: the comparison is not valid")
    return [work.Measured(WHO, work.LIMIT_ORDERS, 0, len(orders), *seconds)]


if __name__ == "__main__":
    work.run_contender(measure)
