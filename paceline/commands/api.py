"""`paceline api`: serve the REST API."""

from paceline.settings import settings


def api() -> None:
    """Serve the REST API on the bind host and the API port, until SIGTERM or Ctrl-C."""
    from api.http.serve import serve

    serve(settings())
