"""The engine beside what one would pick instead, on the same recorded ticks and in the same run."""
