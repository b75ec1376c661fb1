"""Connects ports to their adapters: `api`, `operator`, `stream`, `nightly`. Each opens only what it needs."""
