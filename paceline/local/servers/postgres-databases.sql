-- Who may connect to the database that this runs in, and what they may make in it. Tables have their grants from the
-- migrations; a database has none that a migration could leave to its copies. Run by a superuser.
do $$
declare
    one record;
begin
    execute format('revoke all on database %I from public', current_database());
    if current_database() = 'airflow' then
        -- What the owner of the schema made before Airflow had a role of its own.
        for one in
            select c.oid::regclass as name from pg_class as c
            where c.relowner = 'paceline'::regrole and c.relkind in ('r', 'v', 'S')
                and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype in ('a', 'i'))
        loop
            execute format('alter table %s owner to airflow', one.name);
        end loop;
        for one in
            select t.oid::regtype as name from pg_type as t
            where t.typowner = 'paceline'::regrole and t.typtype = 'e'
        loop
            execute format('alter type %s owner to airflow', one.name);
        end loop;
        return;
    end if;
    execute format('grant connect on database %I to api, writer, nightly, analyst', current_database());
    -- The writer's rows go through temporary tables. dbt makes schemas, Great Expectations temporary tables.
    execute format('grant temporary on database %I to writer, nightly', current_database());
    execute format('grant create on database %I to nightly', current_database());
end
$$;
