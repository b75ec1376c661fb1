"""Pure decisions outside the engine: no I/O, no clock, no random source."""
