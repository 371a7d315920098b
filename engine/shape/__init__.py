"""The one shape of a model, its presets, and the one reader of config.json."""
