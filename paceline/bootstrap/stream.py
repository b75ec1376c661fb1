"""The stream workers, and the rebuild of what they store."""

from functools import partial
from pathlib import Path

from paceline.adapters.kafka.log_reader import LogReader
from paceline.domain.market.bars import PRICE_SHARD
from paceline.ports.market import BarStore, InboundHistory
from paceline.settings import Settings


def open_log_reader(settings: Settings, service: str, topic: str, **fetching: int) -> LogReader:
    """The reader of a service, whose instances share the shards of `topic`. It connects when started."""
    return LogReader(settings.kafka, topic, f"paceline-{service}", worker=settings.worker_id, **fetching)


def open_bars(settings: Settings) -> BarStore:
    """The bars and the position of their reader."""
    from paceline.adapters.postgres.market.bars import PostgresBars

    return PostgresBars(settings.database_url_of("writer"))


def open_price_history(settings: Settings, archive: Path | None) -> InboundHistory:
    """The log that bars are made from; `archive` is the folder of `paceline log archive`, if it is needed."""
    from paceline.adapters.files.log_archive import LogArchive
    from paceline.adapters.kafka.inbound_history import KafkaInboundHistory
    from paceline.adapters.postgres.operations.snapshots import places

    return KafkaInboundHistory(
        settings.kafka,
        PRICE_SHARD,
        partial(places, settings.database_url_of("writer"), PRICE_SHARD),
        None if archive is None else LogArchive(archive / f"shard-{PRICE_SHARD}"),
    )
