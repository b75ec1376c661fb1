"""The watchdog: checks the other services from outside and raises alerts for those that stand still."""
