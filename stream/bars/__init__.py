"""Bars: from the prices of `engine.in` to one-minute bars."""
