"""The router: `engine.out` → Redis, for the API that waits and the screens that watch."""
