"""Where ports meet the world: one folder a technology, venues side by side."""
