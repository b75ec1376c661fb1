"""Postgres: one module per subject; only migrations change schemas."""
