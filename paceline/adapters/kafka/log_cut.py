"""Deletes the beginning of a shard's log from Kafka."""

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from paceline.adapters.kafka.connection import for_aiokafka
from paceline.adapters.kafka.topics import ENGINE_IN
from paceline.core.connections import KafkaConnection


async def cut_before(kafka: KafkaConnection, shard: int, offset: int) -> int:
    """Delete the records of `engine.in` before `offset`; returns the new first offset."""
    admin = AIOKafkaAdminClient(**for_aiokafka(kafka))
    try:
        await admin.start()
        partition = TopicPartition(ENGINE_IN, shard)
        begins = await admin.delete_records({partition: RecordsToDelete(offset)})
        return int(begins[partition])
    finally:
        await admin.close()
