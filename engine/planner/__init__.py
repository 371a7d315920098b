"""Training capacity planning: a model's shape, a cluster and a layout give memory and step time.

Pure arithmetic, free of torch: published formulas, each with its source, and the constants of
`calibration.toml`. Start at `setting`, `layout` and `estimate`.
"""
