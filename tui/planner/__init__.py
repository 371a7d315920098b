"""The Planner tab without its screen: the form, what it asks, and what comes of it."""
