"""The writer: `engine.out` → Postgres, each effect once."""
