"""Empty log topics. All modules of a test session share one Kafka, and topic names are fixed."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient

from paceline.adapters.kafka.topics import TOPICS, ensure_topics
from paceline.core.connections import KafkaConnection


async def fresh_topics(brokers: str, shards: int) -> None:
    """Delete the topics with their records and create them again."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        present = set(await admin.list_topics()) & set(TOPICS)
        if present:
            await admin.delete_topics(sorted(present))
        async with asyncio.timeout(20):
            while set(await admin.list_topics()) & set(TOPICS):  # noqa: ASYNC110 - Kafka sends no notification
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
    await ensure_topics(KafkaConnection(brokers), shards)
