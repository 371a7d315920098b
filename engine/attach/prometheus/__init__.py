"""Fleets through the Prometheus that already collects them."""
