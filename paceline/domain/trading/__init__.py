"""Trades, as the messages of the log describe them."""
