"""The published leaderboard."""
