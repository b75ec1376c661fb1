"""Connections to Postgres.

`pool` serves requests: `Pool.of(account)` reads a member's rows. `worker` is the connection of a stream
service, `transaction` that of a nightly step or a command, `health` that of health checks. `unavailable` has
the errors that mean the same for all of them: Postgres cannot be reached.
"""
