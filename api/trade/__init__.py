"""Trades and orders."""
