"""How a screen reaches an engine: child processes, and the link between two of them."""
