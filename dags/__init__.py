"""What the scheduler runs: one thin file each."""
