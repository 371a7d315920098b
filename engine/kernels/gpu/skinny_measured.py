"""Launches for one row that were measured on an H200, by weight format, features and inputs.

`row`: block_n, warps, waves, depth, prefetch, early of a `RowPlan`; `dot`: block_n, block_k,
splits, warps, stages, prefetch of a `DotPlan`. int4 in groups of 64. Other shapes follow the rules
of `skinny_plan`.
"""

from typing import Literal

Launch = tuple[Literal["row", "dot"], int, int, int, int, int, int]

AT_ONE_ROW: dict[tuple[str, int, int], Launch] = {
    ("dense", 4096, 14336): ("row", 1, 8, 2, 1, 0, 1),
}
