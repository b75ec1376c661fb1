"""The two topics of the log and how they are made."""

from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from paceline.core.errors import PermanentError

ENGINE_IN: Final = "engine.in"
ENGINE_OUT: Final = "engine.out"
TOPICS: Final = (ENGINE_IN, ENGINE_OUT)

# One price update can fire thousands of levels, and its outputs belong to one record.
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024

_CONFIG: Final = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": str(MAX_RECORD_BYTES),
}


async def ensure_topics(brokers: str, shards: int, replication: int = 1) -> list[str]:
    """Make the topics that are missing and return their names.

    `PermanentError` when one exists with another number of partitions: accounts would change shards.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        present = set(await admin.list_topics())
        missing = [name for name in TOPICS if name not in present]
        if missing:
            await _create(admin, missing, shards, replication)
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
            raise PermanentError(f"Kafka refused to make topic {name}: error {code} {rest}")


def check_partitions(topic: str, partitions: int, shards: int) -> None:
    if not partitions:
        raise PermanentError(f"There is no topic {topic}: run `paceline topics`.")
    if partitions != shards:
        raise PermanentError(
            f"Topic {topic} has {partitions} partitions, but PACELINE_ENGINE_SHARDS is {shards}. "
            "The number of shards is fixed at installation: set it back."
        )
