"""Redis: frequently read data, which may be lost at any time and is rebuilt."""
