"""Tasks: real data and the networks that learn it."""
