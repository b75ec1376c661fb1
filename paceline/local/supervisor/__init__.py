"""Runs services: starts them in order, probes them, restarts them, ends them."""
