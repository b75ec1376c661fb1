#!/bin/sh
# Runs once, when the database container creates its data: the roles with their passwords, and the two databases.
set -eu
run() { psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" "$@"; }

run --dbname postgres --file /roles.sql
for role in paceline api writer nightly analyst airflow; do
    password=$(printenv "PASSWORD_OF_$role")
    # A password is a variable of psql and quoted by it. Variables work on standard input only.
    echo "alter role $role password :'password';" | run --dbname postgres --set password="$password"
done
echo "create database paceline owner paceline;" | run --dbname postgres
echo "create database airflow owner airflow;" | run --dbname postgres
run --dbname paceline --file /databases.sql
run --dbname airflow --file /databases.sql
