"""The gateway to the engine, as the API and the operator's commands use it."""

import time

from paceline.adapters.kafka.instruction_log import KafkaInstructionLog
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.trading.answers import PostgresAnswers
from paceline.adapters.redis.client import SyncRedis
from paceline.adapters.redis.market import RedisPrices
from paceline.adapters.redis.trading.replies import RedisReplies
from paceline.adapters.runtime.awaiting import pause
from paceline.settings import Settings
from paceline.usecases.trading.instructions import TradingGateway


def now_us() -> int:
    """The time of this machine, UTC, in µs: it stamps messages and events."""
    return time.time_ns() // 1000


def gateway_on(
    settings: Settings, log: KafkaInstructionLog, replies: RedisReplies, redis: SyncRedis, pool: Pool
) -> TradingGateway:
    """The gateway on clients that the caller opens and closes."""
    return TradingGateway(
        log=log,
        replies=replies,
        answers=PostgresAnswers(pool),
        prices=RedisPrices(redis),
        now_us=now_us,
        pause=pause,
        shards=settings.engine_shards,
        reply_timeout_ms=settings.reply_timeout_ms,
        default_slippage_bps=settings.default_slippage_bps,
        initial_balance=settings.initial_balance_usd,
    )
