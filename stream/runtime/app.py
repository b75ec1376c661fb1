"""The Faust app of a worker: its services, their heartbeat, and how the process starts and ends.

Faust provides the worker and its life cycle. The log readers have their own consumers and start at offsets
that they store themselves, so the app itself only produces (`producer_only`): without an agent Faust's own
consumer would have nothing to subscribe to and fail at start.
"""

import asyncio
import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import faust
import structlog
import uvloop
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from mode import Service

from paceline.adapters.kafka.connection import ssl_context
from paceline.adapters.kafka.topics import ENGINE_IN, ENGINE_OUT
from paceline.adapters.runtime.logs import set_up_logs
from paceline.bootstrap.stream import open_bars, open_log_reader
from paceline.core.connections import KafkaConnection
from paceline.core.errors import AppError, ValidationError
from paceline.domain.market.bars import PRICE_SHARD
from paceline.settings import Settings
from stream.engine.service import EngineOpener
from stream.router.service import RouterOpener
from stream.runtime.heartbeat import Heartbeat
from stream.runtime.log_service import LogService, ShardOpener
from stream.writer.service import WriterOpener

_log = structlog.get_logger()


# No request waits for writer or bars: one transaction for all records of a short time costs less than many.
_LARGE_FETCHES: Final = {"min_bytes": 64 * 1024, "max_wait_ms": 250}


def _log_service(
    name: str, topic: str, opener: ShardOpener, settings: Settings, **fetching: int
) -> LogService:
    reader = open_log_reader(settings, name, topic, **fetching)
    return LogService(name, reader, opener, topic, settings.engine_shards)


def _engine(settings: Settings) -> LogService:
    opener = EngineOpener(
        settings.database_url_of("writer"),
        settings.kafka,
        settings.engine_shards,
        settings.snapshot_interval_s,
    )
    return _log_service("engine", ENGINE_IN, opener, settings)


def _writer(settings: Settings) -> LogService:
    opener = WriterOpener(settings.database_url_of("writer"), settings.engine_shards)
    return _log_service("writer", ENGINE_OUT, opener, settings, **_LARGE_FETCHES)


def _router(settings: Settings) -> LogService:
    opener = RouterOpener(settings.database_url_of("writer"), settings.cache_url, settings.engine_shards)
    return _log_service("router", ENGINE_OUT, opener, settings)


def _bars(settings: Settings) -> LogService:
    from stream.bars.service import BarsOpener

    opener = BarsOpener(open_bars(settings))
    return _log_service("bars", ENGINE_IN, opener, settings, only_shard=PRICE_SHARD, **_LARGE_FETCHES)


def _feed(settings: Settings) -> Service:
    from stream.feed.service import FeedService

    return FeedService(settings)


def _watchdog(settings: Settings) -> Service:
    from paceline.adapters.kafka.log_ends import LogEndReader
    from paceline.adapters.postgres.operations.watch import PostgresWatchStore
    from paceline.adapters.redis.operations import RedisLiveSigns
    from paceline.domain.operations.watch import WatchLimits
    from stream.watchdog.service import WatchdogService

    return WatchdogService(
        PostgresWatchStore(settings.database_url_of("writer"), settings.engine_shards),
        RedisLiveSigns(settings.cache_url),
        LogEndReader(settings.kafka, settings.engine_shards),
        shards=settings.engine_shards,
        symbols=frozenset(settings.feed_symbols),
        limits=WatchLimits(
            settings.watchdog_stuck_s,
            settings.watchdog_price_s,
            max(settings.watchdog_snapshot_s, 3 * settings.snapshot_interval_s),
        ),
    )


SERVICES: Final[Mapping[str, Callable[[Settings], Any]]] = {
    "engine": _engine,
    "writer": _writer,
    "router": _router,
    "bars": _bars,
    "feed": _feed,
    "watchdog": _watchdog,
}


def check_names(names: Sequence[str]) -> None:
    """`ValidationError` if a service does not exist or is named twice, or if none is named."""
    for name in names:
        if name not in SERVICES:
            raise ValidationError(
                f"There is no stream service {name!r}. The services are {', '.join(SERVICES)}."
            )
    if not names or len(set(names)) != len(names):
        raise ValidationError("Name at least one stream service, and none twice.")


def _credentials(kafka: KafkaConnection) -> CredentialsT | None:
    """The connection in Faust's words."""
    if kafka.signs_in:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.reveal(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=ssl_context(kafka),
        )
    return SSLCredentials(ssl_context(kafka)) if kafka.encrypted else None


class PacelineApp(faust.App):  # type: ignore[misc]
    """A Faust app that starts `services` after its own and stops them first."""

    producer_only = True
    services: Sequence[Service] = ()

    def on_init_dependencies(self) -> Iterable[Any]:
        return [*super().on_init_dependencies(), *self.services]


def build_app(names: Sequence[str], settings: Settings) -> PacelineApp:
    """The app with these services and their heartbeat, not connected yet."""
    check_names(names)
    app = PacelineApp(
        f"paceline-{'-'.join(names)}",
        broker=[f"kafka://{broker}" for broker in settings.kafka.brokers.split(",")],
        broker_credentials=_credentials(settings.kafka),
        store="memory://",
        datadir=str(settings.var_dir / "faust"),  # stays empty, but Faust creates it
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        autodiscover=False,
    )
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    services = {name: SERVICES[name](settings) for name in names}
    app.services = [Heartbeat(settings.cache_url, services), *services.values()]
    return app


def run(names: Sequence[str], settings: Settings) -> None:
    """Run a worker until a signal stops it (returns) or a service fails for good (raises).

    SIGTERM and SIGINT stop it cleanly: shards store their state and are given back.
    """
    set_up_logs(",".join(names))
    (settings.var_dir / "faust").mkdir(parents=True, exist_ok=True)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(
        build_app(names, settings), loop=loop, quiet=True, override_logging=False, redirect_stdouts=False
    )
    worker.spinner = None
    gc.collect()
    gc.freeze()  # imported objects stay: the garbage collector need not look at them
    try:
        worker.execute_from_commandline()
    except SystemExit as exit_:
        if exit_.code not in (0, None):
            raise
    except AppError as error:
        _log.critical("stopped", why=error.message, code=error.code)
        raise
