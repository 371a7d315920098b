"""HTTP in front of the worker, as a process of its own. Never imports torch."""
