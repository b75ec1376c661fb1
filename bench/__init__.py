"""Measurements: each prints one table, with limits taken in the same run."""
