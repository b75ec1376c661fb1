"""Stand-ins for outside services that speak their real protocol, for the demo and the tests."""
