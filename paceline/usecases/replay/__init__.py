"""Running recorded messages through the engine, and exporting the log."""
