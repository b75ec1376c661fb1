"""The operator's commands."""

from collections.abc import Callable
from dataclasses import dataclass

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.postgres.connections.health import HealthConnection
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.operations.control import PostgresOperatorStore
from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.bootstrap.gateway import gateway_on, now_us
from paceline.bootstrap.security import security_log_on
from paceline.ports.operations import OperatorStore
from paceline.settings import Settings
from paceline.usecases.identity.security_log import SecurityLog
from paceline.usecases.trading.instructions import TradingGateway

_CONNECTIONS = 2  # a command does one thing at a time


@dataclass(frozen=True)
class OperatorPlatform:
    """The ports that the operator's commands use. Redis is needed only for the answer to a deposit or a
    withdrawal, which comes from Postgres if Redis is unavailable."""

    gateway: TradingGateway
    control: OperatorStore
    security: SecurityLog
    close: Callable[[], None]


def open_operator_platform(settings: Settings) -> OperatorPlatform:
    """The platform on real servers. They need not be running yet."""
    url = settings.database_url_of("api")
    pool, health = Pool(url, connections=_CONNECTIONS), HealthConnection(url)
    redis = SyncRedis(settings.cache_url, settings.reply_timeout_ms)
    log = KafkaInstructionLog(settings.kafka, timeout_ms=settings.reply_timeout_ms)
    replies = RedisReplies(redis)
    security, close_security = security_log_on(pool, now_us)

    def close() -> None:
        close_security()
        log.close()
        replies.close()
        redis.close()
        health.close()
        pool.close()

    return OperatorPlatform(
        gateway=gateway_on(settings, log, replies, redis, pool),
        control=PostgresOperatorStore(pool, health),
        security=security,
        close=close,
    )


async def configure_default_markets(settings: Settings) -> int:
    """Write the default markets to the log of every shard that lacks them; returns the number of messages."""
    from paceline.adapters.kafka.producer import EngineInWriter
    from paceline.adapters.postgres.market.market_book import PostgresMarketConfigurations
    from paceline.usecases.market import markets

    async with EngineInWriter(settings.kafka) as log:
        return await markets.configure_markets(
            markets.default_markets(),
            PostgresMarketConfigurations(settings.database_url_of("writer")),
            log,
            settings.engine_shards,
            now_us(),
        )
