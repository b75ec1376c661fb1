"""The two topics of the log, and how to create them."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from paceline.adapters.kafka.connection import for_aiokafka
from paceline.core.connections import KafkaConnection
from paceline.core.errors import PermanentError, TransientError

ENGINE_IN: Final = "engine.in"
ENGINE_OUT: Final = "engine.out"
TOPICS: Final = (ENGINE_IN, ENGINE_OUT)

# One price update can fire thousands of levels, and its outputs belong to one record.
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024

_SERVED_WITHIN_S: Final = 10
_POLL_EVERY_S: Final = 0.02
_CONFIG: Final = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": str(MAX_RECORD_BYTES),
}


async def ensure_topics(kafka: KafkaConnection, shards: int, replication: int = 1) -> list[str]:
    """Create the missing topics and return their names.

    `PermanentError` if one exists with another number of partitions: accounts would change shards.
    """
    admin = AIOKafkaAdminClient(**for_aiokafka(kafka))
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [name for name in TOPICS if name not in present]
        if missing:
            await _create(admin, missing, shards, replication)
            await _await_served(admin, missing)
        for described in await admin.describe_topics([name for name in TOPICS if name in present]):
            check_partitions(described["topic"], len(described["partitions"]), shards)
    finally:
        await admin.close()
    return missing


async def _create(admin: AIOKafkaAdminClient, names: list[str], shards: int, replication: int) -> None:
    topics = [
        NewTopic(name, num_partitions=shards, replication_factor=replication, topic_configs=dict(_CONFIG))
        for name in names
    ]
    try:
        answer = await admin.create_topics(topics)
    except TopicAlreadyExistsError:
        return
    for name, code, *rest in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise PermanentError(f"Kafka refuses to create the topic {name}: error {code} {rest}")


async def _await_served(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Return once the brokers serve these topics; right after their creation they may not."""
    try:
        async with asyncio.timeout(_SERVED_WITHIN_S):
            while not all(map(_has_leaders, await admin.describe_topics(names))):  # noqa: ASYNC110 - Kafka sends no event
                await asyncio.sleep(_POLL_EVERY_S)
    except TimeoutError as error:
        raise TransientError(
            f"Kafka has created the topics {', '.join(names)} but does not serve them yet."
        ) from error


def _has_leaders(described: Mapping[str, Any]) -> bool:
    partitions = described["partitions"]
    return bool(partitions) and all(one["error_code"] == 0 and one["leader"] >= 0 for one in partitions)


def check_partitions(topic: str, partitions: int, shards: int) -> None:
    if not partitions:
        raise PermanentError(f"There is no topic {topic}: run `paceline topics`.")
    if partitions != shards:
        raise PermanentError(
            f"Topic {topic} has {partitions} partitions, but PACELINE_ENGINE_SHARDS is {shards}. "
            "The number of shards is fixed at installation: set it back."
        )
