"""The step from one role to many, over data that is there."""

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from paceline.adapters.postgres.migrate import migrate
from paceline.core.errors import PermanentError
from paceline.local.servers import server
from paceline.local.servers.postgres import DATABASE_SQL, LocalPostgres
from tests.support.servers import as_role, free_port, in_database

BEFORE = """
insert into engine.accounts values ('ada', 0, 1, 1, 5000), ('bob', 0, 2, 1, 5000);
insert into community.users (id, email, account, display_name)
values (gen_random_uuid(), 'a@x', 'ada', 'Ada');
create schema staging;
create view staging.stg_accounts as select account from engine.accounts;
create schema marts;
create table marts.leaderboard as select account from staging.stg_accounts;
create schema next_marts;
create table next_marts.leaderboard ();
create schema old_marts_7;
"""


@pytest.fixture
def database(postgres_server: server.RunningServer) -> str:
    """As it was at revision 0005, when all was the owner's."""
    assert isinstance(postgres_server.server, LocalPostgres)
    superuser, name = postgres_server.server.superuser_url, f"test_{uuid4().hex[:12]}"
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} owner paceline").format(sql.Identifier(name)))
    url = in_database(superuser, name)
    migrate(as_role(url, "paceline"), "0005")
    with psycopg.connect(as_role(url, "paceline")) as connection:
        connection.execute(BEFORE)
    with psycopg.connect(url) as connection:
        connection.execute(DATABASE_SQL.read_bytes())
    return url


def test_rows_stay_and_the_nightly_run_takes_over_what_dbt_built(database: str) -> None:
    assert migrate(as_role(database, "paceline"))[0] == "0005"
    with psycopg.connect(as_role(database, "writer")) as connection:
        assert connection.execute("select count(*) from engine.accounts").fetchone() == (2,)
    with psycopg.connect(as_role(database, "api")) as connection:
        assert connection.execute("select account from marts.leaderboard").fetchall() == [("ada",), ("bob",)]
        assert connection.execute("select * from community.users").fetchall() == []
    with psycopg.connect(as_role(database, "nightly")) as connection:
        schemas = connection.execute("select nspname from pg_namespace where nspname ~ 'marts|staging'")
        assert {row[0] for row in schemas} == {"staging", "marts"}
        assert connection.execute("select count(*) from staging.stg_accounts").fetchone() == (2,)
        connection.execute("alter schema marts rename to old_marts_8; drop schema old_marts_8 cascade")
        connection.execute("drop schema staging cascade")


def test_missing_roles_are_named(server_folder: Path) -> None:
    local = LocalPostgres(server_folder / "pg", free_port(), password="x", durable=False)
    running = server.start(local)
    try:
        with psycopg.connect(local.superuser_url, autocommit=True) as connection:
            connection.execute("drop owned by identity; drop role identity")
        with pytest.raises(PermanentError, match=r"identity .* missing.*postgres-roles\.sql"):
            migrate(local.url)
    finally:
        server.stop(running)
