"""Whether the API lives and can work."""
