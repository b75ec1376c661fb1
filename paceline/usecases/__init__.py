"""What the platform can do, one function each; called by routes, tasks, commands and services."""
