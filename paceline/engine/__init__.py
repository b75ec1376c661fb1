"""The engine: a pure function of the log. No clock, no network, no database, no random source, no float.

Read `engine` first, then `trades` and `orders` (what instructions do) and `markets` (what prices trigger).
`docs/engine.md` has the map.
"""

from paceline.engine.engine import Engine, EngineStats

__all__ = ["Engine", "EngineStats"]
