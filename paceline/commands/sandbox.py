"""`paceline sandbox …`: the stand-ins of the demo, each in its own process."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sandbox.exchange.faults import FaultRequest

app = typer.Typer(no_args_is_help=True, help="Stand-ins for outside services, for the demo and for tests.")


@app.command()
def exchange(
    *,
    feed: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Play recorded frames (Binance or Backpack, .gz allowed). Repeatable.",
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="Speed of recordings: 1 is real time, 0 as fast as clients read.")
    ] = 1.0,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM=TO", help="Rename a recorded symbol; by default XUSDT becomes X_USDC_PERP."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, max=50_000, help="Quotes per second, all markets together."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random walk.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    misbehave: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT[:COUNT]",
            help="Fault from the start: disconnect, stall, garbage, duplicates, old_ids or string_ids.",
        ),
    ] = None,
    ping_interval: Annotated[float, typer.Option(min=0.01, help="Seconds between pings.")] = 60.0,
    silence: Annotated[
        float, typer.Option(min=0.02, help="Seconds of silence before a client is disconnected.")
    ] = 120.0,
) -> None:
    """Run the exchange: Backpack's WebSocket protocol with a seeded random walk or recorded frames."""
    import uvloop

    from paceline.core.errors import ConflictError
    from paceline.settings import settings
    from sandbox.exchange.server import Exchange, Options

    config = settings()

    async def run() -> None:
        async with Exchange(options) as open_exchange:
            await _until_stopped(open_exchange.run())

    try:
        options = Options(
            host=config.bind_host,
            port=config.exchange_port if port is None else port,
            seed=config.exchange_seed if seed is None else seed,
            rate_hz=config.exchange_rate_hz if rate is None else rate,
            feeds=tuple(feed or ()),
            renamed=dict(_pair(text) for text in symbol or ()),
            speed=speed,
            memory_path=config.var_dir / "exchange" / "memory.json",
            ping_interval_s=ping_interval,
            silence_s=silence,
            misbehave=tuple(_order(text) for text in misbehave or ()),
        )
        uvloop.run(run())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        raise ConflictError(f"The exchange cannot listen: {error}. Set PACELINE_EXCHANGE_PORT.") from error


@app.command()
def nightly(
    *,
    airflow_url: Annotated[str, typer.Option(help="Airflow's address; empty means the local one.")] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(help="File with Airflow's generated password; the local one if absent."),
    ] = None,
) -> None:
    """Run the demo's operator: it triggers the nightly DAG for the running day every ten minutes."""
    from paceline.local.stack import airflow
    from paceline.settings import settings
    from sandbox.nightly_trigger import Airflow, run

    config = settings()
    file = password_file or airflow.password_file(config)
    client = Airflow(airflow_url or airflow.url(config), airflow.USER, lambda: airflow.password(file))
    run(client, config.database_url_of("nightly"))


@app.command()
def traders(
    count: Annotated[
        int | None, typer.Option(min=1, max=500, help="Number of traders; the setting if absent.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of their choices.")] = 7,
) -> None:
    """Run the demo's traders: they sign up by mailed link and trade through the public API."""
    from paceline.settings import settings
    from sandbox.traders.runner import run

    config = settings()
    number = config.demo_traders if count is None else count
    if number == 0:
        typer.echo("PACELINE_DEMO_TRADERS is 0: the demo has no traders.")
        return
    sessions = config.var_dir / "traders" / "sessions.json"
    asyncio.run(_until_stopped(run(number, seed, config.api_url, config.mail_api_url, sessions)))


@app.command()
def mailbox(port: Annotated[int | None, typer.Option(min=1, max=65535)] = None) -> None:
    """Run the mailbox: it speaks Resend's API and shows the sent mails on a page."""
    from paceline.settings import settings
    from sandbox.mailbox.serve import serve

    serve(settings().mailbox_port if port is None else port)


def _pair(text: str) -> tuple[str, str]:
    name, equals, market = text.partition("=")
    if not (name and equals and market):
        raise ValueError(f"--symbol {text!r}: must have the form FROM=TO, such as BTCUSDT=BTC_USDC_PERP")
    return name, market


def _order(text: str) -> "FaultRequest":
    from sandbox.exchange.faults import parse_fault_request

    what, _, count = text.partition(":")
    fields = {"what": what} | ({"seconds" if what == "stall" else "count": count} if count else {})
    return parse_fault_request(fields)


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work fails, or until SIGTERM or SIGINT, which end it without an error."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
