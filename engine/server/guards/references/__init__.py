"""Files alone: what guards compare with, measured for the bundled model."""
