"""The DAGs of the scheduler, one thin file each."""
