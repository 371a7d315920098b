"""The levels of precision: rounding, packing, and the linear layer of each."""
