"""Products of the precisions' packed weights, and the one table that chooses among them."""
