"""Launches for one row, for shapes that were measured on an H200: by format, features and inputs.

`row`: block_n, warps, waves, depth, prefetch, early of a `RowPlan`; `dot`: block_n, block_k,
splits, warps, stages, prefetch of a `DotPlan`. int4 in groups of 64. Other shapes follow the rules
of `skinny_plan`. Behind each its microseconds.
"""

from typing import Literal

Launch = tuple[Literal["row", "dot"], int, int, int, int, int, int]

AT_ONE_ROW: dict[tuple[str, int, int], Launch] = {
    ("dense", 4096, 4096): ("row", 2, 8, 2, 2, 2, 1),  # 10.0
    ("dense", 4096, 14336): ("row", 1, 8, 2, 1, 0, 1),  # 29.7, as a part of a layer
    ("dense", 6144, 4096): ("row", 2, 8, 2, 2, 0, 0),  # 14.9
    ("dense", 28672, 4096): ("row", 2, 4, 4, 1, 0, 1),  # 57.4
    ("fp8", 4096, 4096): ("dot", 32, 128, 4, 4, 4, 4),  # 8.1
    ("fp8", 6144, 4096): ("dot", 32, 128, 4, 4, 4, 4),  # 11.5
    ("int4", 4096, 4096): ("dot", 16, 512, 2, 2, 3, 1),  # 6.3
    ("int4", 4096, 14336): ("dot", 16, 512, 2, 2, 3, 1),  # not timed: as for as many features
    ("int4", 6144, 4096): ("dot", 16, 512, 4, 4, 2, 1),  # 9.8
    ("int4", 28672, 4096): ("dot", 32, 512, 2, 2, 3, 1),  # 32.0
    ("int8", 4096, 4096): ("dot", 16, 256, 2, 2, 4, 2),  # 7.0
    ("int8", 4096, 14336): ("dot", 16, 256, 4, 4, 4, 0),  # 17.2, with four rows
    ("int8", 6144, 4096): ("row", 2, 4, 4, 2, 0, 1),  # 10.8
    ("int8", 28672, 4096): ("row", 2, 4, 4, 2, 0, 0),  # 36.1
}
