"""The Fleet tab: what is drawn of it."""
