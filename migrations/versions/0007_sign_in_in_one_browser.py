"""Sign-in links belong to the browser that requested them and have a code; security events are stored.

Links from before have no browser and cannot be used. They are open for ten minutes at most.

The functions run as their owner. Where the role `identity` exists it owns those of sign-in, and the role
`api` may call them and insert events, and nothing else.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

LINKS = """
-- `browser_hash` is the SHA-256 of the secret of the browser that requested the link, `code_hash` that of
-- this secret and the mail's code. `code_tries` counts wrong codes.
alter table community.magic_links
add column browser_hash bytea,
add column code_hash bytea,
add column code_tries int not null default 0;

-- Rows without further use: each request that adds a row deletes a few of them.
create function community.add_link(
    link_hash bytea, link_code_hash bytea, link_browser_hash bytea, address text, name text, lifetime_s float8
) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    delete from community.magic_links where token_hash in (
        select token_hash from community.magic_links where expires_at < now() - interval '1 day' limit 100);
    insert into community.magic_links (token_hash, code_hash, browser_hash, email, display_name, expires_at)
    values (
        link_hash, link_code_hash, link_browser_hash, address, name, now() + make_interval(secs => lifetime_s)
    );
$$;

create function community.find_link(link_hash bytea) returns table (email text, browser_hash bytea)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select l.email, l.browser_hash from community.magic_links as l
    where l.token_hash = link_hash and l.browser_hash is not null
        and l.used_at is null and l.expires_at > now();
$$;

-- Signs in by the token (`link_hash`), or without one by address and code. Uses up all open links of the
-- address.
create function community.sign_in(
    link_hash bytea, address text, link_browser_hash bytea, link_code_hash bytea,
    session uuid, newcomer uuid, newcomer_account text, lifetime_s float8
) returns setof community.users
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    max_code_tries constant int := 5;
    link community.magic_links;
    found_member community.users;
begin
    if link_hash is not null then
        select email into address from community.magic_links where token_hash = link_hash;
    end if;
    -- One sign-in of an address at a time. The same order for all, so that they cannot block each other.
    perform from community.magic_links
    where email = address and used_at is null order by token_hash for update;
    if link_hash is not null then
        select * into link from community.magic_links
        where token_hash = link_hash and browser_hash = link_browser_hash
            and used_at is null and expires_at > now();
    else
        select * into link from community.magic_links
        where email = address and browser_hash = link_browser_hash and code_hash = link_code_hash
            and code_tries < max_code_tries and used_at is null and expires_at > now()
        order by created_at desc limit 1;
        if not found then
            update community.magic_links set code_tries = code_tries + 1
            where email = address and browser_hash = link_browser_hash
                and code_tries < max_code_tries and used_at is null and expires_at > now();
        end if;
    end if;
    if link.token_hash is null then
        return;
    end if;
    update community.magic_links set used_at = now() where email = address and used_at is null;
    insert into community.users (id, email, account, display_name)
    values (
        newcomer, address, newcomer_account,
        coalesce(nullif(link.display_name, ''), 'trader-' || left(newcomer_account, 6))
    ) on conflict (email) do nothing;
    select * into found_member from community.users where email = address and deleted_at is null;
    if not found then
        return;
    end if;
    delete from community.sessions where jti in (
        select jti from community.sessions where expires_at < now() - interval '30 days' limit 100);
    insert into community.sessions (jti, user_id, expires_at)
    values (session, found_member.id, now() + make_interval(secs => lifetime_s));
    return next found_member;
end
$$;
"""

EVENTS = """
-- What concerns the security of accounts. Rows are only inserted. `email_hash` is the SHA-256 of an address
-- in lower case, in hex.
create table ops.security_events (
    id uuid primary key,
    at timestamptz not null,
    event text not null,
    actor text not null,
    account text,
    email_hash text,
    address text,
    request_id text,
    details jsonb not null default '{}'
);
create index security_events_at on ops.security_events (at);
create index security_events_account on ops.security_events (account, at);

-- Deletes at most 1,000 events that are older than 400 days: a yearly review sees a whole year and a month.
create function ops.sweep_security_events() returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    delete from ops.security_events where id in (
        select id from ops.security_events where at < now() - interval '400 days' order by at limit 1000);
$$;
"""

GRANTS = """
do $$
declare
    one text;
    of_sign_in constant text[] := array[
        'community.add_link(bytea, bytea, bytea, text, text, float8)',
        'community.find_link(bytea)',
        'community.sign_in(bytea, text, bytea, bytea, uuid, uuid, text, float8)'
    ];
begin
    foreach one in array of_sign_in loop
        execute format('revoke all on function %s from public', one);
    end loop;
    revoke all on function ops.sweep_security_events() from public;
    if exists (select from pg_roles where rolname = 'api') then
        foreach one in array of_sign_in loop
            execute format('grant execute on function %s to api', one);
        end loop;
        grant usage on schema community, ops to api;
        grant insert on ops.security_events to api;
        grant execute on function ops.sweep_security_events() to api;
    end if;
    if exists (select from pg_roles where rolname = 'identity') then
        grant create on schema community to identity;
        foreach one in array of_sign_in loop
            execute format('alter function %s owner to identity', one);
        end loop;
        revoke create on schema community from identity;
    end if;
end
$$;
"""


def upgrade() -> None:
    op.execute(LINKS)
    op.execute(EVENTS)
    op.execute(GRANTS)
