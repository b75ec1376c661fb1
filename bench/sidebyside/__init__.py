"""Compares the engine with alternatives on the same recorded ticks in the same run."""
