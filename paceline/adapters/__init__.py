"""Implementations of the ports: one folder per technology or outside service."""
