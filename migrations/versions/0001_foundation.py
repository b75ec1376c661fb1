"""Schemas engine, market, community and ops.

History tables are append-only and carry `(shard, position)`, so that any model can be built as of a cut.
Money, prices and quantities are `numeric(38, 8)`: exact, in units (not in 10⁻⁸).
"""

from alembic import op

revision = "0001"
down_revision = None

ENGINE = """
create schema engine;

-- The position of a reader of a log; updated in the transaction of its effects,
-- `where next_position = <what it read>`.
create table engine.readers (
    reader text not null,
    shard int not null,
    next_position bigint not null default 0,
    next_offset bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (reader, shard)
);

-- Constants of this installation, such as the number of shards.
create table engine.installation (
    only_row boolean primary key default true check (only_row),
    shards int not null check (shards > 0),
    installed_at timestamptz not null default now()
);

-- Two generations per shard. A generation is valid once `complete` is set, with its last chunk.
create table engine.snapshots (
    shard int not null,
    generation int not null check (generation in (0, 1)),
    position bigint not null,
    next_offset bigint not null,
    log_time_us bigint not null,
    state_hash text not null,
    schema_version int not null,
    code_version text not null,
    chunks int not null,
    complete boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (shard, generation)
);
create table engine.snapshot_chunks (
    shard int not null,
    generation int not null,
    ordinal int not null,
    data jsonb not null,
    primary key (shard, generation, ordinal),
    foreign key (shard, generation) references engine.snapshots on delete cascade
);

create table engine.markets (
    shard int not null,
    position bigint not null,
    time_us bigint not null,
    symbol text not null,
    base text not null,
    quantity_step numeric(38, 8) not null,
    min_notional numeric(38, 8) not null,
    max_leverage int not null,
    maker_rate_bps int not null,
    taker_rate_bps int not null,
    maintenance_rate_bps int not null,
    max_price_age_us bigint not null,
    primary key (shard, position)
);

-- Every instruction on the log with its answer. `time_us` is log time, `stamped_us` the time in the
-- message.
-- Admin instructions have no account and no answer.
create table engine.instructions (
    shard int not null,
    position bigint not null,
    time_us bigint not null,
    stamped_us bigint not null,
    instruction text not null,
    kind text not null,
    account text,
    symbol text,
    message jsonb not null,
    status text check (status in ('accepted', 'rejected')),
    code text,
    duplicate boolean not null default false,
    response jsonb,
    primary key (shard, position)
);
create index on engine.instructions (account, instruction, position);

create table engine.accounts (
    account text primary key,
    shard int not null,
    position bigint not null,
    opened_us bigint not null,
    initial_balance numeric(38, 8) not null,
    unique (shard, position)
);

-- Deposits and withdrawals: the initial balance and deposits are positive, withdrawals negative.
create table engine.deposits (
    shard int not null,
    position bigint not null,
    time_us bigint not null,
    account text not null,
    kind text not null check (kind in ('initial', 'deposit', 'withdraw')),
    amount numeric(38, 8) not null,
    primary key (shard, position)
);

-- Events of a trade: opened, amended, reduced (a part was closed), closed.
-- Levels are those after the event, as set by instructions (a trailing level moves without an event).
create table engine.trade_events (
    shard int not null,
    position bigint not null,
    ordinal int not null,
    time_us bigint not null,
    account text not null,
    trade text not null,
    event text not null check (event in ('opened', 'amended', 'reduced', 'closed')),
    symbol text not null,
    side text not null check (side in ('long', 'short')),
    leverage int not null,
    entry_price numeric(38, 8) not null,
    price numeric(38, 8),
    quantity numeric(38, 8) not null,
    remaining_quantity numeric(38, 8) not null,
    margin numeric(38, 8) not null,
    remaining_margin numeric(38, 8) not null,
    fee numeric(38, 8) not null,
    profit numeric(38, 8),
    reason text,
    stop_loss numeric(38, 8),
    take_profit numeric(38, 8),
    trailing_stop numeric(38, 8),
    liquidation numeric(38, 8),
    opened_us bigint not null,
    primary key (shard, position, ordinal)
);
create index on engine.trade_events (trade, position, ordinal);
create index on engine.trade_events (account, position);

create table engine.closed_orders (
    shard int not null,
    position bigint not null,
    ordinal int not null,
    time_us bigint not null,
    account text not null,
    trade text,
    "order" text,
    symbol text not null,
    side text not null,
    quantity numeric(38, 8) not null,
    entry numeric(38, 8),
    exit numeric(38, 8),
    profit numeric(38, 8),
    fee numeric(38, 8),
    margin numeric(38, 8),
    leverage int,
    reason text not null,
    code text,
    remaining numeric(38, 8) not null,
    opened_us bigint not null,
    closed_us bigint not null,
    primary key (shard, position, ordinal)
);
create index on engine.closed_orders (account, closed_us desc);

create table engine.balances (
    shard int not null,
    position bigint not null,
    ordinal int not null,
    time_us bigint not null,
    account text not null,
    cash numeric(38, 8) not null,
    margin numeric(38, 8) not null,
    locked numeric(38, 8) not null,
    balances jsonb not null,
    locked_balances jsonb not null,
    primary key (shard, position, ordinal)
);
create index on engine.balances (account, position desc, ordinal desc);

create view engine.current_markets as
select distinct on (symbol) * from engine.markets where shard = 0 order by symbol, position desc;

create view engine.current_balances as
select b.* from engine.accounts as a
cross join lateral (
    select * from engine.balances as x
    where x.account = a.account order by x.position desc, x.ordinal desc limit 1
) as b;

create view engine.open_trades as
select last.* from (
    select distinct on (trade) * from engine.trade_events order by trade, position desc, ordinal desc
) as last
where last.remaining_quantity > 0;

create table engine.dead_letters (
    source text not null,
    shard int not null,
    position bigint not null,
    at timestamptz not null default now(),
    reason text not null,
    raw bytea not null,
    primary key (source, shard, position)
);
"""

MARKET = """
create schema market;

-- One-minute bars of bid and ask, to value any past day. `minute_us` is the start of the minute.
create table market.bars (
    symbol text not null,
    minute_us bigint not null,
    bid_open numeric(38, 8) not null,
    bid_high numeric(38, 8) not null,
    bid_low numeric(38, 8) not null,
    bid_close numeric(38, 8) not null,
    ask_open numeric(38, 8) not null,
    ask_high numeric(38, 8) not null,
    ask_low numeric(38, 8) not null,
    ask_close numeric(38, 8) not null,
    updates int not null,
    last_update_id bigint not null,
    primary key (symbol, minute_us)
);

-- Unusable frames of the exchange, with the reason. Bounded: the oldest are deleted first.
create table market.dead_letters (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    venue text not null,
    reason text not null,
    raw bytea not null
);
create index on market.dead_letters (at);
"""

COMMUNITY = """
create schema community;

create table community.users (
    id uuid primary key,
    email text not null unique check (email = lower(email)),
    account text not null unique,
    display_name text not null,
    role text not null default 'member' check (role in ('member', 'operator')),
    created_at timestamptz not null default now()
);

-- Magic links. Only the SHA-256 of the token is stored. Setting `used_at` uses a link up.
-- `display_name` is the name that a new member chose.
create table community.magic_links (
    token_hash bytea primary key,
    email text not null,
    display_name text,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index on community.magic_links (email, created_at);

-- A session is valid while its row is neither ended nor expired. Every request checks it.
create table community.sessions (
    jti uuid primary key,
    user_id uuid not null references community.users,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at timestamptz
);
create index on community.sessions (user_id);
"""

OPS = """
create schema ops;

-- A consistent cut of all shards for a day. `day_end_position` is the first position at or after its end
-- (all positions before it belong to the day or earlier); `position` is that of the copied snapshot, which
-- the writer has passed; the models are built up to it. The newest attempt of a day is used.
create table ops.cuts (
    cut_id bigint not null,
    day date not null,
    shard int not null,
    position bigint not null,
    day_end_position bigint not null,
    log_time_us bigint not null,
    state_hash text not null,
    provisional boolean not null,
    created_at timestamptz not null default now(),
    primary key (cut_id, shard)
);
create sequence ops.cut_ids;
create table ops.cut_chunks (
    cut_id bigint not null,
    shard int not null,
    ordinal int not null,
    data jsonb not null,
    primary key (cut_id, shard, ordinal),
    foreign key (cut_id, shard) references ops.cuts on delete cascade
);

-- Metrics of an account at the end of a day, written before the models are built.
create table ops.account_metrics (
    day date not null,
    account text not null,
    cut_id bigint not null,
    provisional boolean not null,
    equity numeric(38, 8) not null,
    cash numeric(38, 8) not null,
    margin numeric(38, 8) not null,
    locked numeric(38, 8) not null,
    asset_value numeric(38, 8) not null,
    unrealised_profit numeric(38, 8) not null,
    realised_profit numeric(38, 8) not null,
    fees numeric(38, 8) not null,
    exposure numeric(38, 8) not null,
    net_deposits numeric(38, 8) not null,
    open_trades int not null,
    closed_trades int not null,
    primary key (day, account)
);

-- Results of the gates, one row per gate and run. `details` has the failed expectations with sample rows.
create table ops.gate_results (
    run_id text not null,
    gate text not null check (gate in ('dbt', 'expectations', 'parity')),
    day date not null,
    cut_id bigint not null,
    passed boolean not null,
    summary text not null,
    details jsonb not null default '[]',
    at timestamptz not null default now(),
    primary key (run_id, gate)
);
create table ops.publications (
    id bigint generated always as identity primary key,
    run_id text not null,
    day date not null,
    cut_id bigint not null,
    provisional boolean not null,
    at timestamptz not null default now()
);

create table ops.alerts (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    severity text not null check (severity in ('info', 'warning', 'critical')),
    source text not null,
    message text not null,
    details jsonb not null default '{}'
);
"""


def upgrade() -> None:
    for part in (ENGINE, MARKET, COMMUNITY, OPS):
        op.execute(part)
