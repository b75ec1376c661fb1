"""Pages for people: the way in, the documentation."""
