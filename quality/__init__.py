"""What must be true of the new models before they are published, checked with Great Expectations."""
