"""The one-machine stack: servers from wheels and the supervisor that keeps everything running."""
