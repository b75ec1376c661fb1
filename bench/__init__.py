"""Benchmarks. Each prints a table, with limits measured in the same run."""
