"""Servers of others, read from outside: what they export becomes frames. Never imports torch."""
