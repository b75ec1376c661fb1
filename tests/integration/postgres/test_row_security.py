"""Who sees which rows: each process by its role, each member by the account that their transaction names."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.identity.members import PostgresMembers
from paceline.adapters.postgres.trading.account_state import PostgresAccountState
from paceline.adapters.postgres.trading.closed_orders import PostgresClosedOrders
from paceline.ports.identity import Member, NewLink, NewSession
from paceline.settings import DATABASE_ROLES
from tests.support.servers import as_role
from tests.support.sinks import write_days
from tests.support.small_day import small_day

# Tables without row-level security, each with the reason.
NOT_PROTECTED = {
    "engine.dead_letters": "raw records that no one could read; no grant for the API",
    "engine.installation": "one fact of the installation",
    "engine.markets": "public",
    "engine.readers": "positions in the log",
    "engine.snapshot_chunks": "the whole state, not by account; no grant for the API",
    "engine.snapshots": "heads of snapshots",
    "market.bars": "public prices",
    "market.dead_letters": "frames of the exchange",
    "ops.alerts": "for operators; names services, markets and shards",
    "ops.cut_chunks": "copies of snapshots, not by account; no grant for the API",
    "ops.cuts": "positions in the log",
    "ops.gate_results": "results of checks; no grant for the API",
    "ops.publications": "which day is published",
    "ops.security_events": "the API may insert and cannot read; no other process has a grant",
    "public.alembic_version": "the revision of the schema",
}
ACCOUNT_TABLES = ("accounts", "balances", "closed_orders", "deposits", "instructions", "trade_changes")
VIEWS = ("account_halts", "current_balances", "open_trades", "trade_events")


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    """Ada and Bob, by the engine; and a copy account of Ada's."""
    write_days(postgres_url, small_day())
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "insert into engine.accounts select 'ada/copy1', 0, 900, 1, 1; "
            "insert into engine.balances select 0, 900, 0, 1, 'ada/copy1', 5, 0, 0, '{}', '{}'; "
            "insert into engine.accounts select 'adam', 0, 901, 1, 1; "
            "insert into ops.account_metrics select '2026-01-01', account, 1, false, 1, 1, 1, 1, 1, 1, 1, 1, "
            "1, 1, 1, 1 from engine.accounts"
        )
    return postgres_url


@pytest.fixture(scope="module")
def pool(database: str) -> Iterator[Pool]:
    """Two connections, so that members share them."""
    with closing(Pool(as_role(database, "api"), connections=2)) as opened:
        yield opened


def tables(url: str) -> dict[str, tuple[bool, bool]]:
    """`(row security on, forced)` by table of our schemas."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select c.oid::regclass::text, relrowsecurity, relforcerowsecurity from pg_class as c "
            "where relkind in ('r', 'p') and relnamespace::regnamespace::text "
            "in ('engine', 'market', 'community', 'ops', 'public')"
        ).fetchall()
    named = ((name if "." in name else f"public.{name}", on, forced) for name, on, forced in rows)
    return {name: (on, forced) for name, on, forced in named}


def test_every_table_is_protected_or_has_a_reason_not_to_be(database: str) -> None:
    found = tables(database)
    assert {name for name, (on, forced) in found.items() if on and forced} == found.keys() - NOT_PROTECTED
    assert NOT_PROTECTED.keys() <= found.keys()


def test_every_view_reads_with_the_rights_of_its_reader(database: str) -> None:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select c.oid::regclass::text from pg_class as c where relkind = 'v' "
            "and relnamespace::regnamespace::text in ('engine', 'market', 'community', 'ops') "
            "and not coalesce(reloptions::text[] @> array['security_invoker=true'], false)"
        ).fetchall()
    assert rows == []


def test_no_role_may_bypass_policies_or_make_roles(database: str) -> None:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select rolname from pg_roles where rolname = any(%s) "
            "and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)",
            ([*DATABASE_ROLES, "paceline", "identity"],),
        ).fetchall()
        assert rows == []
        login = connection.execute("select rolcanlogin from pg_roles where rolname = 'identity'").fetchone()
    assert login == (False,)


@pytest.mark.parametrize("role", ["api", "paceline"])
@pytest.mark.parametrize("table", ACCOUNT_TABLES)
def test_without_an_account_no_row_is_seen(database: str, role: str, table: str) -> None:
    """Not even by the owner: what is forgotten in a view or a migration shows nothing."""
    with psycopg.connect(as_role(database, role)) as connection:
        rows = connection.execute(f"select account from engine.{table}").fetchall()
    assert [row for row in rows if row[0] is not None] == []


@pytest.mark.parametrize("relation", [*ACCOUNT_TABLES, *VIEWS])
def test_a_member_sees_their_rows_and_those_of_the_accounts_below(pool: Pool, relation: str) -> None:
    rows = pool.of("ada").rows(f"select distinct account from engine.{relation} where account is not null")
    assert {row["account"] for row in rows} <= {"ada", "ada/copy1"}
    assert {"account": "ada"} in rows
    if relation in ("accounts", "balances"):
        assert {"account": "ada/copy1"} in rows
        assert pool.of("ada/copy1").rows("select from engine.accounts where account = 'ada'") == [{}]


def test_an_operator_sees_all_accounts(pool: Pool) -> None:
    rows = pool.of_operator().rows("select account from engine.accounts order by account")
    assert [row["account"] for row in rows] == ["ada", "ada/copy1", "adam", "bob"]


def test_halts_of_markets_are_public_and_those_of_accounts_are_not(pool: Pool) -> None:
    rows = pool.rows("select distinct account from engine.instructions")
    assert rows == [{"account": None}]


def test_members_never_see_each_other_on_shared_connections(pool: Pool) -> None:
    """Mixed reads, writes and failures of two members and of no one, over two connections."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    relations = [f"engine.{name}" for name in (*ACCOUNT_TABLES, *VIEWS)] + ["community.users"]

    def read(step: tuple[str | None, str, str]) -> list[Any]:
        who, relation, kind = step
        scope = pool if who is None else pool.of(who)
        query = f"select account from {relation}"
        if kind == "fails":
            with pytest.raises(psycopg.errors.DivisionByZero):
                scope.snapshot((query, None), ("select 1 / 0", None))
            return []
        if kind == "transaction":
            with scope.transaction() as connection:
                return connection.execute(query).rows
        if kind == "aborted":
            with suppress(ZeroDivisionError), scope.transaction() as connection:
                connection.execute(query)
                raise ZeroDivisionError
            return []
        return scope.rows(query) if kind == "rows" else scope.snapshot((query, None))[0]

    kinds = ("rows", "snapshot", "transaction", "fails", "aborted")
    steps = [
        (chance.choice(("ada", "bob", None)), chance.choice(relations), chance.choice(kinds))
        for _ in range(600)
    ]
    with ThreadPoolExecutor(6) as threads:
        for (who, _, _), rows in zip(steps, threads.map(read, steps), strict=True):
            seen = {row["account"] for row in rows if row["account"] is not None}
            assert seen <= ({"ada", "ada/copy1"} if who == "ada" else {who} - {None})
    assert sum(bool(read((who, "engine.balances", "rows"))) for who in ("ada", "bob", None)) == 2


def sign_in(members: PostgresMembers, email: str, session: UUID) -> Member | None:
    token, browser = uuid4().bytes * 2, uuid4().bytes * 2
    members.add_link(
        NewLink(token_hash=token, code_hash=b"code", browser_hash=browser, email=email, display_name=""), 60
    )
    return members.sign_in(token, browser, NewSession(session=session, newcomer=uuid4(), lifetime_s=60))


def test_sessions_and_links_are_reached_by_functions_only(database: str, pool: Pool) -> None:
    members, emails = PostgresMembers(pool), [f"{uuid4().hex}@example.com" for _ in range(2)]
    found = []
    for email in emails:
        found.append((sign_in(members, email, session := uuid4()), session))
    (ada, session), (bob, _) = found
    assert ada is not None and bob is not None  # noqa: PT018
    assert ada.display_name == f"trader-{ada.account[:6]}"
    assert pool.rows("select * from community.users") == []
    assert pool.of(bob.account).rows("select email from community.users") == [{"email": bob.email}]
    assert pool.of(bob.account).rows("select from community.sessions where jti = %s", (session,)) == []
    for forbidden in (
        "select * from community.magic_links",
        "insert into community.sessions values (gen_random_uuid(), gen_random_uuid(), now(), now())",
        "update community.users set email = 'x'",
        "set role identity",
    ):
        with psycopg.connect(as_role(database, "api")) as api, pytest.raises(InsufficientPrivilege):
            api.execute(forbidden)
    with psycopg.connect(database) as connection:
        connection.execute("update community.users set deleted_at = now() where account = %s", (ada.account,))
    assert PostgresMembers(pool).of_session(session) is None
    assert sign_in(members, ada.email, uuid4()) is None


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        ("api", "insert into engine.accounts values ('x', 0, 0, 0, 0)"),
        ("api", "select * from engine.snapshot_chunks"),
        ("api", "select * from ops.security_events"),
        ("api", "update community.users set role = 'operator', display_name = 'x'"),
        ("api", "create table public.mine (x int)"),
        ("writer", "select * from community.users"),
        ("writer", "delete from engine.closed_orders"),
        ("writer", "update engine.balances set cash = 0"),
        ("nightly", "select email from community.users"),
        ("nightly", "insert into engine.deposits values (0, 0, 0, 'x', 'deposit', 1)"),
        ("analyst", "select * from engine.balances"),
        ("analyst", "create schema mine"),
    ],
)
def test_a_role_may_do_no_more_than_its_process(database: str, role: str, forbidden: str) -> None:
    with psycopg.connect(as_role(database, role)) as connection:
        connection.execute("set transaction read write")
        with pytest.raises(InsufficientPrivilege):
            connection.execute(forbidden)


def test_airflow_has_its_own_database_and_no_other(database: str) -> None:
    url = as_role(database, "airflow")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url)
    with psycopg.connect(f"{url.rpartition('/')[0]}/airflow") as connection:
        connection.execute("create table public.dag (id int)")
        connection.rollback()
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(f"{as_role(database, 'writer').rpartition('/')[0]}/airflow")


def test_roles_have_time_limits(database: str) -> None:
    limits: dict[str, Any] = {}
    for role in ("api", "writer", "nightly", "analyst"):
        with psycopg.connect(as_role(database, role)) as connection:
            limits[role] = connection.execute(
                "select current_setting('statement_timeout'), "
                "current_setting('idle_in_transaction_session_timeout')"
            ).fetchone()
    assert limits == {
        "api": ("5s", "5s"),
        "writer": ("2min", "1min"),
        "nightly": ("30min", "10min"),
        "analyst": ("5min", "5min"),
    }


def test_policies_leave_the_indexes_in_use(database: str) -> None:
    with psycopg.connect(as_role(database, "api")) as connection:
        connection.execute("set enable_seqscan = off")
        connection.execute("select set_config('paceline.account', 'ada', true)")
        plans = {
            index: "\n".join(row[0] for row in connection.execute(f"explain {query}").fetchall())
            for index, query in {
                "instructions_account_instruction_position_idx": "select response from engine.instructions "
                "where account = 'ada' and instruction = 'x' order by position desc limit 1",
                "balances_account_position_ordinal_idx": "select cash from engine.balances "
                "where account = 'ada' order by position desc, ordinal desc limit 1",
                "closed_orders_account_closed_us_idx": "select * from engine.closed_orders "
                "where account = 'ada' order by closed_us desc limit 20",
                "trade_changes_account_position_idx": "select * from engine.open_trades "
                "where account = 'ada'",
                "instructions_orders": "select * from engine.instructions where account = 'ada' "
                "and kind = 'place_order' and status = 'accepted'",
            }.items()
        }
    for index, plan in plans.items():
        assert index in plan, plan


def test_what_members_read_is_theirs(pool: Pool) -> None:
    state, closed = PostgresAccountState(pool), PostgresClosedOrders(pool)
    assert state.balance("ada") is not None
    assert len(state.open_trades("ada")) == len(state.resting_orders("ada")) == 1
    page = closed.closed_orders("ada", symbol=None, from_us=None, to_us=None, offset=0, limit=10)
    assert page.total == len(page.items) == 3
    assert closed.closed_orders("bob", symbol=None, from_us=None, to_us=None, offset=0, limit=10).items == []
