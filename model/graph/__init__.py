"""Graph slot: what the neighbours of the same day add."""
