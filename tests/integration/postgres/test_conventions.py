"""What a table must have, over the migrated schema. An exception has a reason."""

from collections.abc import Iterator

import psycopg
import pytest

SCHEMAS = ("engine", "market", "community", "ops")
ROLES = ("api", "writer", "nightly", "identity")

NO_TIMES = {
    "engine.snapshot_chunks": "parts of a snapshot, whose row has the times",
}
# A member's own rows that the member, or we for them, may delete.
MEMBERS_OWN = {"community.users", "community.sessions", "community.magic_links"}
NO_DELETED_AT = {
    "community.sessions": "`ended_at` says it, and the row goes 30 days after it expired",
    "community.magic_links": "`used_at` says it, and the row goes a day after it expired",
}
OWNERS = ("account", "user_id")


@pytest.fixture(scope="module")
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as opened:
        yield opened


def columns(connection: psycopg.Connection) -> dict[str, set[str]]:
    rows = connection.execute(
        "select c.table_schema || '.' || c.table_name, array_agg(c.column_name::text) "
        "from information_schema.columns as c "
        "join information_schema.tables using (table_schema, table_name) "
        "where table_type = 'BASE TABLE' and c.table_schema = any(%s) group by 1",
        (list(SCHEMAS),),
    ).fetchall()
    return {name: set(names) for name, names in rows}


def mutable(connection: psycopg.Connection) -> set[str]:
    """Tables of which a role of a process may change a column: no other table can change."""
    rows = connection.execute(
        "select distinct c.oid::regclass::text from pg_class as c, unnest(%s::text[]) as role "
        "where c.relkind = 'r' and c.relnamespace::regnamespace::text = any(%s) "
        "and has_any_column_privilege(role, c.oid, 'update')",
        (list(ROLES), list(SCHEMAS)),
    ).fetchall()
    return {row[0] for row in rows}


def test_a_table_that_changes_says_when(connection: psycopg.Connection) -> None:
    found, changing = columns(connection), mutable(connection)
    assert "community.users" in changing
    assert "engine.closed_orders" not in changing
    lacking = {name for name in changing if not {"created_at", "updated_at"} <= found[name]}
    assert lacking == NO_TIMES.keys()


def test_the_time_of_the_last_change_is_kept_by_the_table(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "select tgrelid::regclass::text from pg_trigger where tgfoid = 'ops.set_updated_at'::regproc"
    ).fetchall()
    assert {row[0] for row in rows} == mutable(connection) - NO_TIMES.keys()
    connection.execute("insert into engine.readers (reader, shard, updated_at) values ('test', 0, 'epoch')")
    changed = connection.execute(
        "update engine.readers set next_offset = 1 where reader = 'test' returning updated_at > now() - "
        "interval '1 minute', updated_at >= created_at"
    ).fetchone()
    assert changed == (True, True)


def test_what_a_member_owns_can_be_marked_as_deleted(connection: psycopg.Connection) -> None:
    found = columns(connection)
    assert {name for name in MEMBERS_OWN if "deleted_at" not in found[name]} == NO_DELETED_AT.keys()


def test_an_owner_and_a_status_have_an_index(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "select indrelid::regclass::text, array(select attname::text "
        "from unnest(indkey) with ordinality as k (number, place) "
        "join pg_attribute on attrelid = indrelid and attnum = number order by place) "
        "from pg_index"
    ).fetchall()
    indexes = {(table, *names[:2]) for table, names in rows}
    wanted = {
        (table, owner, "status")
        for table, names in columns(connection).items()
        for owner in OWNERS
        if {owner, "status"} <= names
    }
    assert ("engine.instructions", "account", "status") in wanted
    assert wanted <= indexes
