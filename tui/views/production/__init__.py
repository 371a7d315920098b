"""Panels of the Production tab."""
