"""The one-machine stack: servers from wheels, and the supervisor that keeps all services running."""
