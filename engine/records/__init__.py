"""What is kept of a session: snapshots, what was tried, the columns of curves."""
