"""A stand-in for the Backpack exchange: its WebSocket protocol, with prices that are walked or recorded.

`protocol` is the wire form, `walk` and `recorded` make quotes, `mischief` spoils them on demand,
`memory` keeps prices and update ids over restarts, `player` sets the pace, `server` is the socket.
"""
