"""Checks of the new models before publication, with Great Expectations."""
