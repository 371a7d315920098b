"""How every figure of a plan comes about: its formula, and what went in."""
