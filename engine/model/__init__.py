"""The decoder, its master weights, and how checkpoints of every kind are read."""
