"""`paceline market`: list, configure, halt and resume markets."""

from typing import Annotated

import msgspec
import typer

from paceline.adapters.runtime import terminal
from paceline.adapters.runtime.terminal import Column
from paceline.commands.operating import Yes, ask, decimal, instruction_id, platform, print_outcome, record_act
from paceline.commands.options import AsJson, Wide
from paceline.messages.inbound import ConfigureMarket, HaltMarket, ResumeMarket
from paceline.ports.operations import OperatorMarket
from paceline.usecases.operations import operating

_HELP = "List, configure, halt and resume markets."
app = typer.Typer(add_completion=False, no_args_is_help=True, help=_HELP)

Symbol = Annotated[str, typer.Argument(help="Market, such as BTC_USDC_PERP.", show_default=False)]


@app.callback()
def market() -> None:
    """List, configure, halt and resume markets."""


COLUMNS = [
    Column(name="symbol"),
    Column(name="base", priority=7),
    Column(name="quantity_step", header="step", priority=6, align="right"),
    Column(name="min_notional", header="minimum", priority=5, align="right"),
    Column(name="max_leverage", header="leverage", priority=1, align="right"),
    Column(name="maker_rate_bps", header="maker bps", priority=3, align="right"),
    Column(name="taker_rate_bps", header="taker bps", priority=2, align="right"),
    Column(name="maintenance_rate_bps", header="maintenance bps", priority=4, align="right"),
    Column(name="max_price_age_us", header="price age µs", priority=8, align="right"),
    Column(name="state", wraps=True, least=12, style=lambda state: "" if state == "open" else "red"),
]


@app.command("list")
def list_(*, wide: Wide = False, as_json: AsJson = False) -> None:
    """List the markets, as the engine has them."""
    with platform() as opened:
        found = opened.control.markets()
        shards = opened.gateway.shards
    if as_json:
        terminal.show_json(found)
        return
    rows = [msgspec.structs.asdict(one) | {"state": _state(one, shards)} for one in found]
    terminal.show_table(COLUMNS, rows, wide=wide)


def _state(market: OperatorMarket, shards: int) -> str:
    if len(market.shards) < shards:
        return f"only on shards {market.shards}: configure it again"
    if 0 < len(market.halted_shards) < shards:
        return f"halted only on shards {market.halted_shards}: halt or resume it again"
    return "halted" if market.halted_shards else "open"


@app.command(epilog="Example: paceline market configure BTC_USDC_PERP --max-leverage 20")
def configure(
    symbol: Symbol,
    *,
    base: Annotated[str | None, typer.Option(help="Asset, such as BTC; cannot be changed later.")] = None,
    step: Annotated[str | None, typer.Option(help="Quantity step.")] = None,
    minimum: Annotated[str | None, typer.Option(help="Minimum notional, USD.")] = None,
    max_leverage: Annotated[int | None, typer.Option(min=1, max=1000)] = None,
    maker_bps: Annotated[int | None, typer.Option(min=0, max=10_000, help="Maker rate.")] = None,
    taker_bps: Annotated[int | None, typer.Option(min=0, max=10_000, help="Taker rate.")] = None,
    maintenance_bps: Annotated[int | None, typer.Option(min=0, max=10_000, help="Maintenance rate.")] = None,
    max_price_age_ms: Annotated[
        int | None, typer.Option(min=1, max=86_400_000, help="Age above which a price is too old to trade.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Add or change a market. Options that are not given do not change. A new market needs all options.

    The change applies from now on, to open trades too: rates are those at the time of execution.
    """
    given = {
        "base": base,
        "quantity_step": None if step is None else decimal(step),
        "min_notional": None if minimum is None else decimal(minimum),
        "max_leverage": max_leverage,
        "maker_rate_bps": maker_bps,
        "taker_rate_bps": taker_bps,
        "maintenance_rate_bps": maintenance_bps,
        "max_price_age_us": None if max_price_age_ms is None else max_price_age_ms * 1_000,
    }
    with platform() as opened:
        known = next((m for m in opened.control.markets() if m.symbol == symbol), None)
        wanted = operating.market_settings(symbol, known, given)
        if known is not None:
            ask(f"Change {symbol} for all members from now on?", yes=yes)
        message = ConfigureMarket(id=instruction_id(), time=opened.gateway.now_us(), symbol=symbol, **wanted)
        record_act(opened, message)
        outcome = operating.configure_market(opened.gateway, opened.control, message)
        print_outcome(f"Configuring {symbol}", outcome, as_json=as_json)


@app.command()
def halt(symbol: Symbol, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Halt a market: it accepts prices, but nothing opens, closes or fires until it is resumed."""
    with platform() as opened:
        operating.require_market(opened.control, symbol)
        ask(f"Halt {symbol}? No trade closes and no stop loss fires until it is resumed.", yes=yes)
        message = HaltMarket(instruction_id(), opened.gateway.now_us(), symbol)
        record_act(opened, message)
        outcome = operating.instruct_all_shards(opened.gateway, opened.control, message)
        print_outcome(f"Halting {symbol}", outcome, as_json=as_json)


@app.command()
def resume(symbol: Symbol, *, as_json: AsJson = False) -> None:
    """Resume a halted market. The next price decides which levels fire."""
    with platform() as opened:
        operating.require_market(opened.control, symbol)
        message = ResumeMarket(instruction_id(), opened.gateway.now_us(), symbol)
        record_act(opened, message)
        outcome = operating.instruct_all_shards(opened.gateway, opened.control, message)
        print_outcome(f"Resuming {symbol}", outcome, as_json=as_json)
