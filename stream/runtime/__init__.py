"""What all stream services share: the Faust app, the log service, heartbeats."""
