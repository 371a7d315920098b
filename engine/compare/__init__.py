"""Sweeps over cells: what to measure next, medians with intervals, load curves, which wins."""
