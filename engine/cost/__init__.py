"""What serving costs, and how many GPUs a load needs: pure functions over what was measured.

`rates` are prices, `spend` the cost of a span of work, `cells` that of measured cells; `what_ifs`
say what it would be, `budget` whether it is too much, `capacity` what one GPU takes.
"""
