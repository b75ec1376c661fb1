"""Ways to send a message to a person: one module per channel, each a `Notifier`."""
