"""Simulated traders of different skill, which use the public API like any member.

`styles` decides (pure), `api` is one member's session, `market` polls prices, `trader` trades, `crowd` runs
all traders.
"""
