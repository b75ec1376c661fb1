"""What keeps the platform running: alerts, readers' positions, snapshots, dead letters."""
