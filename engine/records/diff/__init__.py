"""Two sessions side by side: what was set otherwise, and which figures differ."""
