"""Postgres: one module a subject; schemas are made by migrations only."""
