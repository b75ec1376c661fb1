"""Views of markets and accounts with the engine's rules: the first base of a symbol, and the halts.

A second configuration of a symbol replaces all fields except its base. Halting an unknown market or account
has no effect, so only halts after the first configuration, or after the opening, count.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

CHANGES = """
create index instructions_market_halts on engine.instructions (symbol, shard, position)
where kind in ('halt_market', 'resume_market');
create index instructions_account_halts on engine.instructions (account, position)
where kind in ('halt_account', 'resume_account');

drop view engine.current_markets;

create view engine.shard_markets as
with configured as (
    select distinct on (m.shard, m.symbol)
        m.*,
        first_value(m.base) over earliest as first_base,
        first_value(m.position) over earliest as first_position
    from engine.markets as m
    window earliest as (partition by m.shard, m.symbol order by m.position)
    order by m.shard, m.symbol, m.position desc
)
select c.shard, c.position, c.time_us, c.symbol, c.first_base as base, c.quantity_step, c.min_notional,
    c.max_leverage, c.maker_rate_bps, c.taker_rate_bps, c.maintenance_rate_bps, c.max_price_age_us,
    coalesce(last.kind = 'halt_market', false) as halted
from configured as c
left join lateral (
    select i.kind from engine.instructions as i
    where i.symbol = c.symbol and i.shard = c.shard and i.position > c.first_position
        and i.kind in ('halt_market', 'resume_market')
    order by i.position desc limit 1
) as last on true;

create view engine.current_markets as select * from engine.shard_markets where shard = 0;

create view engine.account_halts as
select a.account, coalesce(last.kind = 'halt_account', false) as halted
from engine.accounts as a
left join lateral (
    select i.kind from engine.instructions as i
    where i.account = a.account and i.shard = a.shard and i.position > a.position
        and i.kind in ('halt_account', 'resume_account')
    order by i.position desc limit 1
) as last on true;
"""


def upgrade() -> None:
    op.execute(CHANGES)
