"""The markets."""
