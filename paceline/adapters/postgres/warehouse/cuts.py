"""Cuts (`ops.cuts`) and their copies of the engine's snapshots."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from msgspec.structs import replace

from paceline.adapters.postgres.connections.transaction import transaction
from paceline.core.times import day_bounds_us
from paceline.domain.market.bars import PRICE_SHARD
from paceline.ports.warehouse import Cut, Publication, ShardCut, WriterProgress

# A copy is as large as the engine's state, and only a run under way needs one.
_COPIES_KEPT: Final = 3

_COPY = """
with newest as (
    select distinct on (shard) shard, generation, position, log_time_us, state_hash
    from engine.snapshots where complete order by shard, position desc, created_at desc
),
cut as (
    insert into ops.cuts (cut_id, day, shard, position, day_end_position, log_time_us, state_hash,
    provisional)
    select %(cut_id)s, %(day)s, shard, position, position, log_time_us, state_hash, true from newest
    returning shard
)
insert into ops.cut_chunks (cut_id, shard, ordinal, data)
select %(cut_id)s, chunk.shard, chunk.ordinal, chunk.data
from engine.snapshot_chunks as chunk
join newest using (shard, generation)
"""

# The shard's first message with an effect at or after the day's end. Log time never falls as positions rise.
_DAY_END = """
select least(
    (select min(position) from engine.instructions where shard = %(shard)s and time_us >= %(end_us)s),
    (select min(position) from engine.balances where shard = %(shard)s and time_us >= %(end_us)s),
    %(position)s
) as position
"""


class PostgresCuts:
    def __init__(self, url: str) -> None:
        self._url = url

    def shards(self) -> int:
        with transaction(self._url) as connection:
            row = connection.execute("select shards from engine.installation").fetchone()
        return int(row["shards"]) if row else 0

    def first_opened_us(self) -> int | None:
        with transaction(self._url) as connection:
            row = connection.execute("select min(opened_us) as first from engine.accounts").fetchone()
        return row["first"] if row else None

    def published(self) -> Publication | None:
        with transaction(self._url) as connection:
            row = connection.execute(
                "select cut_id, day, provisional from ops.publications order by id desc limit 1"
            ).fetchone()
        return Publication(**row) if row else None

    def copy_snapshots(self, day: date) -> tuple[int, list[ShardCut]]:
        with transaction(self._url) as connection:
            row = connection.execute("select nextval('ops.cut_ids') as cut_id").fetchone()
            assert row is not None
            key = {"cut_id": row["cut_id"], "day": day}
            # The foreign key is checked at the end of the statement, when both sides exist.
            connection.execute(_COPY, key)
            rows = connection.execute(
                "select shard, position, day_end_position, log_time_us, state_hash from ops.cuts "
                "where cut_id = %(cut_id)s order by shard",
                key,
            ).fetchall()
        return key["cut_id"], [ShardCut(**one) for one in rows]

    def writer_progress(self) -> Mapping[int, WriterProgress]:
        with transaction(self._url) as connection:
            rows = connection.execute(
                "select shard, next_position, next_offset from engine.readers where reader = 'writer'"
            ).fetchall()
        return {row["shard"]: WriterProgress(row["next_position"], row["next_offset"]) for row in rows}

    def bars_position(self) -> int:
        with transaction(self._url) as connection:
            row = connection.execute(
                "select next_position from engine.readers where reader = 'bars' and shard = %s",
                (PRICE_SHARD,),
            ).fetchone()
        return int(row["next_position"]) if row else 0

    def finish(self, cut: Cut) -> Cut:
        _, end_us = day_bounds_us(cut.day)
        shards = []
        with transaction(self._url) as connection:
            for one in cut.shards:
                where: dict[str, Any] = {"shard": one.shard, "end_us": end_us, "position": one.position}
                row = connection.execute(_DAY_END, where).fetchone()
                assert row is not None
                shards.append(replace(one, day_end_position=row["position"]))
                connection.execute(
                    "update ops.cuts set day_end_position = %s, provisional = %s where cut_id = %s and "
                    "shard = %s",
                    (row["position"], one.log_time_us < end_us, cut.cut_id, one.shard),
                )
            connection.execute(
                "delete from ops.cut_chunks where cut_id <= %s - %s", (cut.cut_id, _COPIES_KEPT)
            )
        return replace(cut, shards=shards)

    def discard(self, cut_id: int) -> None:
        with transaction(self._url) as connection:
            connection.execute("delete from ops.cuts where cut_id = %s", (cut_id,))

    def chunks(self, cut_id: int, shard: int) -> list[bytes]:
        with transaction(self._url) as connection:
            rows = connection.execute(
                "select data::text as text from ops.cut_chunks where cut_id = %s and shard = %s order "
                "by ordinal",
                (cut_id, shard),
            ).fetchall()
        return [row["text"].encode() for row in rows]
