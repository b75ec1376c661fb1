"""Snapshot chunks are identified by a digest of their content: an unchanged chunk is not stored again."""

from alembic import op

revision = "0004"
down_revision = "0003"

# Existing chunks get the digest of their text in Postgres, which no new chunk has.
CHANGES = """
alter table engine.snapshot_chunks add column digest bytea;
update engine.snapshot_chunks set digest = sha256(convert_to(ordinal || ' ' || data::text, 'UTF8'));
alter table engine.snapshot_chunks alter column digest set not null;
alter table engine.snapshot_chunks drop constraint snapshot_chunks_pkey;
alter table engine.snapshot_chunks add primary key (shard, generation, digest);
"""


def upgrade() -> None:
    op.execute(CHANGES)
