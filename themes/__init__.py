"""Files alone: one TOML file a theme."""
