"""Launches for one row, for shapes that were measured on an H200: by format, features and inputs.

`row`: block_n, warps, waves, depth, early of a `RowPlan`; `mma`: warps, units, waves, depth, early
of a `MmaPlan`. int4 in groups of 64. Other shapes follow the rules of `skinny_plan`. Behind each
its microseconds.
"""

from typing import Literal

Launch = tuple[Literal["row", "mma"], int, int, int, int, int]

AT_ONE_ROW: dict[tuple[str, int, int], Launch] = {
    ("dense", 4096, 4096): ("row", 2, 8, 2, 2, 1),  # 10.0
    ("dense", 4096, 14336): ("row", 1, 8, 2, 1, 1),  # 29.7, as a part of a layer
    ("dense", 6144, 4096): ("row", 2, 8, 2, 2, 0),  # 14.9
    ("dense", 28672, 4096): ("row", 2, 4, 4, 1, 1),  # 57.4
    ("fp8", 4096, 4096): ("mma", 8, 4, 2, 1, 1),  # 4.8, as a part of a layer
    ("fp8", 4096, 14336): ("mma", 16, 2, 2, 1, 1),  # 17.9, likewise
    ("fp8", 28672, 4096): ("mma", 8, 8, 1, 2, 1),  # 32.0, likewise
    ("int8", 4096, 4096): ("mma", 8, 4, 2, 1, 1),  # 5.0, as a part of a layer
}
