"""Alembic migrations of Postgres. All tables are created here, except those in the schemas of dbt."""
