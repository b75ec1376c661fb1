"""Alerts with a recovery time.

A `key` identifies the cause. There is one row while the cause lasts. A cause that returns within minutes
reopens its row, and `times` counts that, so that a flapping cause does not fill the table.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

CHANGES = """
alter table ops.alerts
add column key text,
add column times int not null default 1,
add column recovered_at timestamptz;
create unique index alerts_open on ops.alerts (key) where key is not null and recovered_at is null;
create index alerts_recovered on ops.alerts (key, recovered_at) where key is not null;
"""


def upgrade() -> None:
    op.execute(CHANGES)
