"""Tens of thousands of layouts, tried and ranked."""
