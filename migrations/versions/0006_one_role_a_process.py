"""Each process has its own role, and a role sees a member's rows only by a policy.

`docs/adr/0023-one-role-a-process.md` gives the reasons. The roles themselves exist before the migrations run
(`paceline/local/servers/postgres-roles.sql`).
"""

from alembic import op

revision = "0006"
down_revision = "0005"

# Tables that hold a member's data, by the column that names the account.
PROTECTED = (
    "engine.accounts",
    "engine.balances",
    "engine.closed_orders",
    "engine.deposits",
    "engine.instructions",
    "engine.trade_changes",
    "ops.account_metrics",
    "community.users",
)
# Of the account in `paceline.account`, and of the accounts below it (`account/…`). Evaluated once a query.
IS_OWN = "split_part(account, '/', 1) = (select nullif(current_setting('paceline.account', true), ''))"
IS_OPERATOR = "(select current_setting('paceline.operator', true)) = 'on'"

GRANTS = """
grant usage on schema engine, market, community, ops to api;
grant select on engine.accounts, engine.balances, engine.closed_orders, engine.deposits, engine.instructions,
    engine.markets, engine.trade_changes to api;
grant select on engine.account_halts, engine.current_balances, engine.current_markets, engine.open_trades,
    engine.shard_markets, engine.trade_events to api;
grant select on community.users, community.sessions to api;
grant update (role) on community.users to api;
grant update (ended_at) on community.sessions to api;
grant select on ops.alerts to api;

grant usage on schema engine, market, ops to writer;
grant select, insert on all tables in schema engine to writer;
grant update on engine.readers, engine.snapshots, engine.snapshot_chunks to writer;
grant delete on engine.snapshot_chunks to writer;
grant select, insert, update, delete on market.bars to writer;
grant select, insert, delete on market.dead_letters to writer;
grant select, insert, update on ops.alerts to writer;

grant usage on schema engine, market, community, ops to nightly;
grant select on all tables in schema engine to nightly;
revoke all on engine.dead_letters from nightly;
grant select on market.bars to nightly;
grant select (account, display_name, created_at) on community.users to nightly;
grant usage on sequence ops.cut_ids to nightly;
grant select, insert, update, delete on ops.cuts to nightly;
grant select, insert, delete on ops.cut_chunks to nightly;
grant select, insert, update on ops.account_metrics, ops.gate_results to nightly;
grant select, insert, maintain on ops.publications to nightly;
grant insert on ops.alerts to nightly;
"""

# Who asks is not known before this function: it does what the API may do then, and no more.
IDENTITY = """
create type community.member as (id uuid, email text, account text, display_name text, role text);

create function community.of_session(session uuid) returns setof community.member
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select u.id, u.email, u.account, u.display_name, u.role
    from community.sessions as s join community.users as u on u.id = s.user_id
    where s.jti = session and s.ended_at is null and s.expires_at > now() and u.deleted_at is null;
$$;

grant usage, create on schema community to identity;
grant select, insert on community.users to identity;
grant select, insert, delete on community.sessions to identity;
grant select, insert, update, delete on community.magic_links to identity;
"""
# A row tells when it was made and when it last changed.
TIMES = """
create function ops.set_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;
alter table community.users add column updated_at timestamptz not null default now();
alter table community.users add column deleted_at timestamptz;
alter table community.sessions add column updated_at timestamptz not null default now();
alter table community.magic_links add column updated_at timestamptz not null default now();
alter table engine.readers add column created_at timestamptz not null default now();
alter table engine.snapshots add column updated_at timestamptz not null default now();
alter table market.bars add column created_at timestamptz not null default now();
alter table market.bars add column updated_at timestamptz not null default now();
alter table ops.cuts add column updated_at timestamptz not null default now();
alter table ops.account_metrics add column created_at timestamptz not null default now();
alter table ops.account_metrics add column updated_at timestamptz not null default now();
alter table ops.gate_results add column created_at timestamptz not null default now();
alter table ops.gate_results add column updated_at timestamptz not null default now();
alter table ops.alerts add column created_at timestamptz not null default now();
alter table ops.alerts add column updated_at timestamptz not null default now();
-- The resting orders of a member: the only instructions that are read by their status.
create index instructions_orders on engine.instructions (account, status) where kind = 'place_order';
"""
CHANGING = (
    "community.users", "community.sessions", "community.magic_links", "engine.readers", "engine.snapshots",
    "market.bars", "ops.cuts", "ops.account_metrics", "ops.gate_results", "ops.alerts",
)  # fmt: skip
VIEWS = (
    "account_halts",
    "current_balances",
    "current_markets",
    "open_trades",
    "shard_markets",
    "trade_events",
)

# What dbt has built as the owner is the nightly run's from now on. The next run builds what is dropped here.
WAREHOUSE = """
do $$
declare
    one record;
begin
    for one in select nspname from pg_namespace where nspname ~ '^(next|old)_' loop
        execute format('drop schema %I cascade', one.nspname);
    end loop;
    for one in select nspname from pg_namespace where nspname in ('staging', 'intermediate', 'marts') loop
        execute format('grant usage, create on schema %I to nightly', one.nspname);
    end loop;
    for one in
        select c.oid::regclass as relation from pg_class as c
        where c.relkind in ('r', 'v')
            and c.relnamespace::regnamespace::text in ('staging', 'intermediate', 'marts')
    loop
        execute format('alter table %s owner to nightly', one.relation);
    end loop;
    for one in select nspname from pg_namespace where nspname in ('staging', 'intermediate', 'marts') loop
        execute format('alter schema %I owner to nightly', one.nspname);
    end loop;
    set local role nightly;
    if to_regclass('marts.leaderboard') is not null then
        grant usage on schema marts to api;
        grant select on marts.leaderboard to api;
    end if;
    reset role;
end
$$;
"""


def upgrade() -> None:
    op.execute(TIMES)
    for table in CHANGING:
        op.execute(
            f"create trigger set_updated_at before update on {table} "
            "for each row execute function ops.set_updated_at()"
        )
    op.execute(GRANTS)
    for table in PROTECTED:
        op.execute(f"create policy member on {table} for select to api using ({IS_OWN})")
        op.execute(f"create policy operator on {table} to api using ({IS_OPERATOR})")
        op.execute(f"create policy nightly on {table} to nightly using (true)")
    # What belongs to no account is public: the markets that operators configure and halt.
    op.execute("create policy public on engine.instructions for select to api using (account is null)")
    for table in PROTECTED:
        if table.startswith("engine."):
            op.execute(f"create policy stream on {table} to writer using (true)")
    op.execute(
        "create policy member on community.sessions to api "
        "using (user_id in (select id from community.users))"
    )
    for table in ("community.users", "community.sessions", "community.magic_links"):
        op.execute(f"create policy identity on {table} to identity using (true)")
    for table in (*PROTECTED, "community.sessions", "community.magic_links"):
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
    for view in VIEWS:
        op.execute(f"alter view engine.{view} set (security_invoker = true)")
    op.execute(IDENTITY)
    op.execute("revoke all on function community.of_session(uuid) from public")
    op.execute("grant execute on function community.of_session(uuid) to api")
    op.execute("alter function community.of_session(uuid) owner to identity")
    op.execute("revoke create on schema community from identity")
    op.execute(WAREHOUSE)
