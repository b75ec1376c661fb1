"""The Faust app and its services: one folder per service."""
