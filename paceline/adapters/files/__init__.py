"""Files: the archive of the log and the cold store."""
