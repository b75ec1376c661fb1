"""Cuts, metrics, gates and the publication of models."""
