"""nautilus_trader's 2.0 line (Rust): the same backtest with its own API and a Python strategy."""

from decimal import Decimal
from importlib.metadata import version

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    Currency,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
)
from nautilus_trader.testkit.providers import TestInstrumentProvider
from nautilus_trader.trading import Strategy, StrategyConfig

from bench.sidebyside import work

WHO = f"nautilus_trader {version('nautilus_trader')}"
INSTRUMENT = TestInstrumentProvider.btcusdt_perp_binance()


def price(value: int) -> Price:
    return Price(value / work.SCALE, INSTRUMENT.price_precision)


class Brackets(Strategy):
    """Submits prepared brackets after their quotes; they are the same for all contenders."""

    def __new__(cls, *_: object) -> "Brackets":
        return super().__new__(cls, StrategyConfig())

    def __init__(self, brackets: dict[int, work.Bracket]) -> None:
        super().__init__(StrategyConfig())
        self.brackets = brackets
        self.seen = -1
        self.closed = 0

    def on_start(self) -> None:
        self.subscribe_quotes(INSTRUMENT.id)

    def on_quote(self, quote: QuoteTick) -> None:
        self.seen += 1
        wanted = self.brackets.get(self.seen)
        if wanted is not None:
            self.submit_order_list(
                self.order_factory.bracket(
                    instrument_id=INSTRUMENT.id,
                    order_side=OrderSide.BUY if wanted.long else OrderSide.SELL,
                    quantity=Quantity(work.QUANTITY / work.SCALE, INSTRUMENT.size_precision),
                    sl_trigger_price=price(wanted.stop_loss),
                    tp_price=price(wanted.take_profit),
                )
            )

    def on_position_closed(self, event: object) -> None:
        self.closed += 1


def backtest(what: str, quotes: list[work.Quote], brackets: dict[int, work.Bracket]) -> work.Measured:
    engine = BacktestEngine(
        BacktestEngineConfig(
            bypass_logging=True, logging=LoggerConfig(bypass_logging=True), run_analysis=False
        )
    )
    engine.add_venue(
        venue=INSTRUMENT.id.venue,
        oms_type=OmsType.HEDGING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(100_000_000, Currency.from_str("USDT"))],
        default_leverage=Decimal(10),
        fee_model=MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.0005")),
    )
    engine.add_instrument(INSTRUMENT)
    strategy = Brackets(brackets)
    engine.add_strategy(strategy)
    engine.add_data([tick(quote) for quote in quotes])
    seconds = work.timed(engine.run)
    orders = engine.cache.orders_total_count()
    if strategy.seen + 1 != len(quotes) or orders != len(brackets) * work.ORDERS_PER_BRACKET:
        raise RuntimeError(f"{strategy.seen + 1} quotes and {orders} orders: not the expected numbers")
    closed = strategy.closed if brackets else None
    return work.Measured(WHO, what, len(quotes), orders, *seconds, closed=closed)


def tick(quote: work.Quote) -> QuoteTick:
    return QuoteTick(
        INSTRUMENT.id,
        price(quote.bid),
        price(quote.ask),
        Quantity(quote.bid_quantity / work.SCALE, INSTRUMENT.size_precision),
        Quantity(quote.ask_quantity / work.SCALE, INSTRUMENT.size_precision),
        quote.time_us * 1_000,
        quote.time_us * 1_000,
    )


def measure(quotes: list[work.Quote]) -> list[work.Measured]:
    return [
        backtest(work.BRACKETS, quotes, dict(work.brackets(quotes))),
        backtest(work.QUOTES, quotes, {}),
    ]


if __name__ == "__main__":
    work.run_contender(measure)
