-- The roles of Paceline, without their passwords. Run by a superuser, as often as you like: `paceline up` does at each
-- start, the database container when it makes its data. docs/adr/0023-one-role-a-process.md says who is who.
do $$
declare
    missing text;
begin
    foreach missing in array array['paceline', 'api', 'writer', 'nightly', 'analyst', 'airflow', 'identity'] loop
        if not exists (select from pg_roles where rolname = missing) then
            execute format('create role %I', missing);
        end if;
    end loop;
end
$$;

-- The owner of the schema: migrations only.
alter role paceline login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role api login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role writer login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role nightly login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role analyst login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
alter role airflow login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
-- Owns the functions that find out who asks. No process connects as this role.
alter role identity nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls;

-- The owner hands these functions, and what dbt built before there were roles, over to them.
grant identity, nightly to paceline with inherit false, set true;

-- A request has seconds. A worker loads snapshots of a hundred megabytes. A model may take as long as its run.
alter role api set statement_timeout = '5s';
alter role api set idle_in_transaction_session_timeout = '5s';
alter role writer set statement_timeout = '2min';
alter role writer set idle_in_transaction_session_timeout = '1min';
alter role nightly set statement_timeout = '30min';
alter role nightly set idle_in_transaction_session_timeout = '10min';
alter role analyst set statement_timeout = '5min';
alter role analyst set idle_in_transaction_session_timeout = '5min';
alter role analyst set default_transaction_read_only = on;
alter role airflow set statement_timeout = '5min';
alter role airflow set idle_in_transaction_session_timeout = '10min';
alter role paceline set idle_in_transaction_session_timeout = '10min';
