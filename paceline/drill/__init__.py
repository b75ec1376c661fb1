"""The drill: trade on a real stack, kill and pause its services, then check what is left against the log."""
