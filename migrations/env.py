"""Alembic's entry point: runs the migrations on the connection from `migrate` (adapters)."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="public")
with context.begin_transaction():
    context.run_migrations()
