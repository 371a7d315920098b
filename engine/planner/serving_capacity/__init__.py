"""Serving capacity: does a model fit, how fast does it decode and prefill, and what does it cost.

Pure arithmetic over the same shapes, GPUs and constants as training; free of torch. Start at
`capacity`; `serving.toml` has the constants with their reasons, `prices.toml` the prices.
"""
