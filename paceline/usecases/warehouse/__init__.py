"""The nightly run: cut, metrics, gates, publication."""
