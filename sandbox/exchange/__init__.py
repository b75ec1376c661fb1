"""A stand-in for the Backpack exchange: its WebSocket protocol, with generated or recorded prices.

`protocol` has the message formats, `walk` and `recorded` make quotes, `mischief` injects faults on request,
`memory` keeps prices and update ids across restarts, `player` sends quotes on time, `server` is the socket.
"""
