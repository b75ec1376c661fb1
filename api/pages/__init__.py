"""HTML pages: home and the API documentation."""
