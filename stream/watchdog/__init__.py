"""The watchdog: looks at the other services from outside and tells of what stands still."""
