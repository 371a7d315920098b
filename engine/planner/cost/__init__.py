"""Memory and step time of a layout, and the constants behind them."""
