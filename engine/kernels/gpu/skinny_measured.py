"""Launches for one row, for shapes that were measured on an H200: by format, features and inputs.

`row`: block_n, warps, waves, depth, prefetch, early of a `RowPlan`; `mma`: warps, units, waves,
depth, early of a `MmaPlan`, and 0. int4 in groups of 64. Other shapes follow the rules
of `skinny_plan`. Behind each its microseconds.
"""

from typing import Literal

Launch = tuple[Literal["row", "mma"], int, int, int, int, int, int]

AT_ONE_ROW: dict[tuple[str, int, int], Launch] = {
    ("dense", 4096, 4096): ("row", 2, 8, 2, 2, 2, 1),  # 10.0
    ("dense", 4096, 14336): ("row", 1, 8, 2, 1, 0, 1),  # 29.7, as a part of a layer
    ("dense", 6144, 4096): ("row", 2, 8, 2, 2, 0, 0),  # 14.9
    ("dense", 28672, 4096): ("row", 2, 4, 4, 1, 0, 1),  # 57.4
    ("fp8", 28672, 4096): ("mma", 16, 4, 1, 1, 1, 0),  # 30.7
    ("fp8", 4096, 14336): ("mma", 16, 2, 2, 1, 1, 0),  # 16.7
    ("fp8", 4096, 4096): ("mma", 8, 4, 2, 1, 0, 0),  # 6.1
    ("fp8", 6144, 4096): ("mma", 8, 8, 2, 1, 0, 0),  # 8.0
    ("int4", 28672, 4096): ("mma", 8, 4, 2, 1, 0, 0),  # 21.7
    ("int4", 4096, 14336): ("mma", 8, 2, 2, 2, 1, 0),  # 12.7
    ("int4", 4096, 4096): ("mma", 8, 4, 2, 1, 0, 0),  # 4.5
    ("int4", 6144, 4096): ("mma", 8, 4, 2, 1, 1, 0),  # 7.3
    ("int8", 28672, 4096): ("mma", 8, 8, 2, 1, 0, 0),  # 34.0
    ("int8", 4096, 14336): ("mma", 8, 4, 2, 1, 1, 0),  # 17.4
    ("int8", 4096, 4096): ("mma", 8, 4, 2, 1, 1, 0),  # 6.3
    ("int8", 6144, 4096): ("mma", 8, 8, 2, 1, 0, 0),  # 8.8
}
