"""The REST API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.notify.mail_queue import BackgroundMailQueue
from paceline.adapters.notify.resend.client import ResendNotifier
from paceline.adapters.postgres.connections.health import HealthConnection
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.identity.members import PostgresMembers
from paceline.adapters.postgres.market.markets import PostgresMarkets
from paceline.adapters.postgres.operations.control import PostgresOperatorStore
from paceline.adapters.postgres.trading.account_state import PostgresAccountState
from paceline.adapters.postgres.trading.closed_orders import PostgresClosedOrders
from paceline.adapters.postgres.warehouse.leaderboards import PostgresLeaderboards
from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.market import RedisPrices
from paceline.adapters.redis.operations import all_heartbeats, ping
from paceline.adapters.redis.trading.account_state import RedisAccountState
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.bootstrap.gateway import gateway_on, now_us
from paceline.bootstrap.security import security_log_on
from paceline.ports.identity import MemberStore
from paceline.ports.notifications import MailQueue
from paceline.ports.operations import OperatorStore
from paceline.ports.trading import ClosedOrders
from paceline.ports.warehouse import Leaderboards
from paceline.settings import Settings
from paceline.usecases.identity.security_log import SecurityLog
from paceline.usecases.trading.accounts import AccountReader
from paceline.usecases.trading.instructions import TradingGateway


@dataclass(frozen=True)
class Platform:
    """The ports that the API uses. Each of `pings` raises `TransientError` if its
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


def open_platform(settings: Settings) -> Platform:
    """The platform on real servers. They need not be running yet."""
    url = settings.database_url_of("api")
    pool, health = Pool(url, connections=max(2, settings.api_requests // 4)), HealthConnection(url)
    redis = SyncRedis(settings.cache_url, settings.reply_timeout_ms)
    log = KafkaInstructionLog(settings.kafka, timeout_ms=settings.reply_timeout_ms)
    notifier = ResendNotifier(settings.mail_api_url, settings.resend_api_key.reveal(), settings.mail_from)
    mails = BackgroundMailQueue(notifier)
    security, close_security = security_log_on(pool, now_us)
    prices, replies = RedisPrices(redis), RedisReplies(redis)
    gateway = gateway_on(settings, log, replies, redis, pool)
    account_reader = AccountReader(
        hot=RedisAccountState(redis, settings.engine_shards),
        stored=PostgresAccountState(pool),
        prices=prices,
        markets=PostgresMarkets(pool),
    )

    def close() -> None:
        mails.close()
        close_security()
        log.close()
        replies.close()
        notifier.close()
        redis.close()
        health.close()
        pool.close()

    return Platform(
        gateway=gateway,
        account_reader=account_reader,
        control=PostgresOperatorStore(pool, health),
        members=PostgresMembers(pool),
        closed_orders=PostgresClosedOrders(pool),
        leaderboards=PostgresLeaderboards(pool),
        mails=mails,
        security=security,
        pings={"postgres": health.ping, "kafka": log.ping, "redis": lambda: ping(redis)},
        heartbeats=lambda: all_heartbeats(redis),
        close=close,
    )
