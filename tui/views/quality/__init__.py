"""The panels of the Quality tab, as pure functions."""
