"""Launches for one row, for shapes that were measured on an H200: by format, features and inputs.

`row`: block_n, warps, waves, depth, prefetch, early of a `RowPlan`; `dot`: block_n, block_k,
splits, warps, stages, prefetch of a `DotPlan`. int4 in groups of 64. Other shapes follow the rules
of `skinny_plan`.

Microseconds, and those of the rule's launch: dense 29.7 (37.3); fp8 11.7 (14.0) and 8.0 (9.6); int4
9.7 (14.6) and 6.1 (11.0) for the two shapes with 4096 inputs and few features; int8 7.0 (8.5), and
17.2 (24.3), which was taken with four rows. The other two of int4 were not timed: they are what the
same kernel's time for fewer weights leads to expect.
"""

from typing import Literal

Launch = tuple[Literal["row", "dot"], int, int, int, int, int, int]

AT_ONE_ROW: dict[tuple[str, int, int], Launch] = {
    ("dense", 4096, 14336): ("row", 1, 8, 2, 1, 0, 1),
    ("fp8", 4096, 4096): ("dot", 32, 128, 4, 4, 4, 4),
    ("fp8", 6144, 4096): ("dot", 32, 128, 4, 4, 4, 4),
    ("int4", 4096, 4096): ("dot", 16, 512, 2, 2, 3, 1),
    ("int4", 4096, 14336): ("dot", 16, 512, 4, 4, 2, 1),
    ("int4", 6144, 4096): ("dot", 16, 512, 4, 4, 2, 1),
    ("int4", 28672, 4096): ("dot", 16, 512, 4, 4, 2, 1),
    ("int8", 4096, 4096): ("dot", 16, 256, 2, 2, 4, 2),
    ("int8", 4096, 14336): ("dot", 16, 256, 4, 4, 4, 0),
    ("int8", 6144, 4096): ("row", 2, 4, 4, 2, 0, 1),
}
