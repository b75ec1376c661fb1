"""Stand-ins for outside services, for the demo and the tests. They speak the real protocols."""
