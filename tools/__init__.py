"""What builds parts of prodtop. Not installed: run from the root of the repository."""
