"""Balances and what can be traded."""
