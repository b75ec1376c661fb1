"""Instructions to the engine, and what an account has."""
