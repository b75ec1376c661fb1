"""The end of a trade is stored only in the closed orders; `engine.trade_events` is a view of both tables.

Before, it was written twice, which was half of the writer's work.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

CHANGES = """
drop view engine.open_trades;

-- Events of a trade before its end: opened, amended, reduced (a part was closed).
alter table engine.trade_events rename to trade_changes;
delete from engine.trade_changes where event = 'closed';
alter table engine.trade_changes rename constraint trade_events_pkey to trade_changes_pkey;
alter table engine.trade_changes rename constraint trade_events_side_check to trade_changes_side_check;
alter table engine.trade_changes drop constraint trade_events_event_check;
alter table engine.trade_changes
add constraint trade_changes_event_check check (event in ('opened', 'amended', 'reduced'));
alter index engine.trade_events_trade_position_ordinal_idx rename to trade_changes_trade_position_ordinal_idx;
alter index engine.trade_events_account_position_idx rename to trade_changes_account_position_idx;

-- All events of trades, their ends included. An ended trade has no remaining quantity and no levels.
create view engine.trade_events as
select
    shard, position, ordinal, time_us, account, trade, event, symbol, side, leverage, entry_price,
    price, quantity, remaining_quantity, margin, remaining_margin, fee, profit, reason,
    stop_loss, take_profit, trailing_stop, liquidation, opened_us
from engine.trade_changes
union all
select
    shard, position, ordinal, time_us, account, trade, 'closed', symbol, side, leverage, entry,
    exit, quantity, 0::numeric(38, 8), margin, 0::numeric(38, 8), fee, profit, reason,
    null::numeric(38, 8), null::numeric(38, 8), null::numeric(38, 8), null::numeric(38, 8), opened_us
from engine.closed_orders
where trade is not null and remaining = 0;

-- Each open trade after its last event, with its opening fee. With a filter on shard or account it reads no
-- other rows.
create view engine.open_trades as
select last.* from (
    select distinct on (shard, account, trade)
        *,
        first_value(fee) over (partition by shard, account, trade order by position, ordinal) as opening_fee
    from engine.trade_events
    order by shard, account, trade, position desc, ordinal desc
) as last
where last.remaining_quantity > 0;
"""


def upgrade() -> None:
    op.execute(CHANGES)
