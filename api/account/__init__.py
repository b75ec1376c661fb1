"""Balances and tradable assets."""
