"""Strategies by cluster size, scenarios and GPU types side by side, with a score beside the time.

`score` rates one layout, `comparison` has the searches. Figures are estimates; where nothing fits
they are those of the leanest layout, marked.
"""
