"""What the panels of the Compare tab say, as pure functions."""
