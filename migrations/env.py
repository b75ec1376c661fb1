"""Alembic's entry: runs the migrations over the connection that `migrate` (adapters) hands it."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="public")
with context.begin_transaction():
    context.run_migrations()
