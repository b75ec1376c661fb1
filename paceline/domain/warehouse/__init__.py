"""Valuation of accounts at the end of a day."""
