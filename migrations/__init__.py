"""Migrations of Postgres, by alembic. No table is made elsewhere (dbt builds its own schemas)."""
