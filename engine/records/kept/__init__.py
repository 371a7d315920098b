"""What is kept of sessions, file by file."""
