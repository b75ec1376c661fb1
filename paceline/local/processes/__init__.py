"""Child processes: starting, ending, ports, log files, scheduling."""
