"""Redis: hot data that may be lost at any time and is rebuilt."""
