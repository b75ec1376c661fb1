"""Prices and bars."""
