"""The router: `engine.out` → Redis, for requests that wait for answers and for live views."""
