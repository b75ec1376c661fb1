"""Connects ports to their adapters."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.kafka.producer import EngineInWriter
from paceline.adapters.notify.mail_queue import BackgroundMailQueue
from paceline.adapters.notify.resend.client import ResendNotifier
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.identity.members import PostgresMembers
from paceline.adapters.postgres.identity.security_events import PostgresSecurityEvents
from paceline.adapters.postgres.market.market_book import PostgresMarketConfigurations
from paceline.adapters.postgres.market.markets import PostgresMarkets
from paceline.adapters.postgres.operations.control import PostgresOperatorStore
from paceline.adapters.postgres.trading.account_state import PostgresAccountState
from paceline.adapters.postgres.trading.answers import PostgresAnswers
from paceline.adapters.postgres.trading.closed_orders import PostgresClosedOrders
from paceline.adapters.postgres.warehouse.leaderboards import PostgresLeaderboards
from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.market import RedisPrices
from paceline.adapters.redis.operations import all_heartbeats, ping
from paceline.adapters.redis.trading.account_state import RedisAccountState
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.adapters.runtime.awaiting import pause
from paceline.adapters.runtime.background import BackgroundQueue
from paceline.domain.market.bars import PRICE_SHARD
from paceline.ports.identity import MemberStore, SecurityEvent
from paceline.ports.market import BarStore, InboundHistory
from paceline.ports.notifications import MailQueue
from paceline.ports.operations import OperatorStore
from paceline.ports.trading import ClosedOrders
from paceline.ports.warehouse import Leaderboards
from paceline.settings import Settings
from paceline.usecases.identity.security_log import SecurityLog
from paceline.usecases.market import markets
from paceline.usecases.trading.accounts import AccountReader
from paceline.usecases.trading.instructions import TradingGateway
from paceline.usecases.warehouse.nightly import Nightly

# Security events wait in memory while Postgres is unavailable: so many of them, and so long.
_MAX_EVENTS: Final = 10_000
_EVENT_USEFUL_S: Final = 600
_EVENTS_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Platform:
    """The ports that the API and the operator's commands use. Each of `pings` raises `TransientError` if its
    server cannot be reached.

    `heartbeats` returns each service's last reports about itself, one per instance.
    """

    gateway: TradingGateway
    account_reader: AccountReader
    control: OperatorStore
    members: MemberStore
    closed_orders: ClosedOrders
    leaderboards: Leaderboards
    mails: MailQueue
    security: SecurityLog
    pings: Mapping[str, Callable[[], None]]
    heartbeats: Callable[[], Mapping[str, Sequence[Mapping[str, Any]]]]
    close: Callable[[], None]


def now_us() -> int:
    return time.time_ns() // 1000


def open_platform(settings: Settings) -> Platform:
    """The platform on real servers. They need not be running yet."""
    pool = Pool(settings.database_url, connections=max(2, settings.api_requests // 4))
    redis = SyncRedis(settings.cache_url, settings.reply_timeout_ms)
    log = KafkaInstructionLog(settings.brokers, timeout_ms=settings.reply_timeout_ms)
    notifier = ResendNotifier(settings.mail_api_url, settings.resend_api_key.reveal(), settings.mail_from)
    mails = BackgroundMailQueue(notifier)
    events = _security_events(pool)
    prices, replies = RedisPrices(redis), RedisReplies(redis)
    gateway = TradingGateway(
        log=log,
        replies=replies,
        answers=PostgresAnswers(pool),
        prices=prices,
        now_us=now_us,
        pause=pause,
        shards=settings.engine_shards,
        reply_timeout_ms=settings.reply_timeout_ms,
        default_slippage_bps=settings.default_slippage_bps,
        initial_balance=settings.initial_balance_usd,
    )
    account_reader = AccountReader(
        hot=RedisAccountState(redis, settings.engine_shards),
        stored=PostgresAccountState(pool),
        prices=prices,
        markets=PostgresMarkets(pool),
    )

    def close() -> None:
        mails.close()
        events.close()
        log.close()
        replies.close()
        notifier.close()
        redis.close()
        pool.close()

    return Platform(
        gateway=gateway,
        account_reader=account_reader,
        control=PostgresOperatorStore(pool),
        members=PostgresMembers(pool),
        closed_orders=PostgresClosedOrders(pool),
        leaderboards=PostgresLeaderboards(pool),
        mails=mails,
        security=SecurityLog(lambda event: events.put(event, _EVENT_USEFUL_S), now_us),
        pings={"postgres": pool.ping, "kafka": log.ping, "redis": lambda: ping(redis)},
        heartbeats=lambda: all_heartbeats(redis),
        close=close,
    )


@contextmanager
def security_log(settings: Settings) -> Iterator[SecurityLog]:
    """Security events of a command that needs nothing else of the platform."""
    pool = Pool(settings.database_url, connections=1)
    events = _security_events(pool)
    try:
        yield SecurityLog(lambda event: events.put(event, _EVENT_USEFUL_S), now_us)
    finally:
        events.close()
        pool.close()


def _security_events(pool: Pool) -> BackgroundQueue[SecurityEvent]:
    return BackgroundQueue(
        "security events", PostgresSecurityEvents(pool).add, capacity=_MAX_EVENTS, batch=_EVENTS_AT_ONCE
    )


async def configure_default_markets(settings: Settings) -> int:
    """Write the default markets to the log of every shard that lacks them; returns the number of messages."""
    async with EngineInWriter(settings.brokers) as log:
        return await markets.configure_markets(
            markets.default_markets(),
            PostgresMarketConfigurations(settings.database_url),
            log,
            settings.engine_shards,
            time.time_ns() // 1000,
        )


def open_nightly(settings: Settings) -> Nightly:
    """The steps of the nightly run on real servers. Each step connects when it is called."""
    from paceline.adapters.files.parquet import ParquetStore
    from paceline.adapters.kafka.log_ends import KafkaLogEnds
    from paceline.adapters.postgres.warehouse.account_metrics import PostgresAccountMetrics
    from paceline.adapters.postgres.warehouse.cuts import PostgresCuts
    from paceline.adapters.postgres.warehouse.gates import PostgresGates
    from paceline.adapters.postgres.warehouse.publication import PostgresModels
    from quality.checkpoint import PostgresExpectations

    url = settings.database_url
    return Nightly(
        cuts=PostgresCuts(url),
        log_ends=KafkaLogEnds(settings.brokers, settings.engine_shards),
        metrics=PostgresAccountMetrics(url),
        gates=PostgresGates(url),
        models=PostgresModels(url),
        expectations=PostgresExpectations(url),
        cold=ParquetStore(url, settings.var_dir / "cold"),
        minimum_trades=settings.leaderboard_minimum_trades,
    )


def open_bars(settings: Settings) -> BarStore:
    """The bars and the position of their reader."""
    from paceline.adapters.postgres.market.bars import PostgresBars

    return PostgresBars(settings.database_url)


def open_price_history(settings: Settings, archive: Path | None) -> InboundHistory:
    """The log that bars are made from; `archive` is the folder of `paceline log archive`, if it is needed."""
    from paceline.adapters.files.log_archive import LogArchive
    from paceline.adapters.kafka.inbound_history import KafkaInboundHistory
    from paceline.adapters.postgres.operations.snapshots import places

    return KafkaInboundHistory(
        settings.brokers,
        PRICE_SHARD,
        partial(places, settings.database_url, PRICE_SHARD),
        None if archive is None else LogArchive(archive / f"shard-{PRICE_SHARD}"),
    )


def warehouse_environment(settings: Settings) -> dict[str, str]:
    """Environment variables that the dbt project reads."""
    from paceline.adapters.runtime.dbt import dbt_environment

    return dbt_environment(settings.database_url)


def build_models(settings: Settings, cut_var: str) -> bool:
    """Run `dbt build` of all models at a cut, without Airflow; True if everything succeeded."""
    from paceline.adapters.runtime.dbt import run_dbt

    variables = json.dumps({"cut": cut_var})
    return run_dbt(warehouse_environment(settings), "build", "--vars", variables)
