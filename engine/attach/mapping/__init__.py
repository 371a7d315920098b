"""Which metrics of which engine are which figure: a table for each engine."""
