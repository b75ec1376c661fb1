"""The drill: trade on a real stack, kill and pause its services, then let the log judge what is left."""
