#!/bin/sh
# Runs once, when the database container is initialised: creates Airflow's database and the read-only role.
set -eu
psql --set ON_ERROR_STOP=1 --set analyst_password="$ANALYST_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
create role analyst login password :'analyst_password';
create database airflow;
SQL
