"""The compiled form of the engine, and which Python to install with."""
