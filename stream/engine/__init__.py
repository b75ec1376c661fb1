"""The engine service: `engine.in` → the pure engine → `engine.out`, and its snapshots."""
