"""Which servers there are, and how they are asked."""
