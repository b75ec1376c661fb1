"""Paceline: a self-hosted data platform with a live engine for trading communities."""

__version__ = "0.1.0"
