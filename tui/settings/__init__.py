"""The config file and the keys."""
