"""The platform's operations, one function each. Routes, tasks, commands and services call them."""
