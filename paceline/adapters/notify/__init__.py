"""Ways to reach a person: one module a channel, each a `Notifier`."""
