"""Fixtures for all tests: the real servers of `tests/support/servers.py`."""

pytest_plugins = ["tests.support.servers"]
