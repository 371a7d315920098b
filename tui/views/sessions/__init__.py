"""What the panels of the Sessions tab say, as pure functions."""
