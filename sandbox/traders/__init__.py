"""Simulated traders of different skill, who use the public API like anybody else.

`styles` decides (pure), `api` is one member's session, `market` watches prices, `trader` acts,
`crowd` brings them together.
"""
