"""Accounts, trades, orders and the answers to instructions."""
