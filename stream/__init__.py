"""The Faust app and its services: one folder a service."""
