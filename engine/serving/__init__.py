"""Requests become tokens: scheduler, KV blocks, runners, sampling, strategies."""
