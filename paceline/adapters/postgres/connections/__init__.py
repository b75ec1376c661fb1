"""Connections to Postgres: a pool for requests, one for a stream service, one for a command."""
