"""Bars, the configured markets, and frames that could not be used."""
