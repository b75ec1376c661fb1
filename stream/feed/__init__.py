"""The feed: from an exchange's WebSocket to the log. `service` wires the parts together."""
