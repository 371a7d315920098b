"""Tiles of cuBLAS' kernels for Hopper that cut a product's rows evenly.

For a number of rows that is no multiple of 64 the heuristics seldom name the tile of which two or
three fit exactly. Of all configurations for 144 rows by 4096 × 4096 on an H200 the fastest, 64 × 72
with both tiles of a column in a cluster, takes 13.3 µs, the best that they list 16.6.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_PARTS = (2, 3)
_ROWS_UNIT = 8
# cublasLtMatmulTile_t: features × rows.
_TILES = {
    64: {
        24: 313,
        32: 13,
        40: 314,
        48: 315,
        56: 316,
        64: 15,
        72: 317,
        80: 318,
        88: 319,
        96: 26,
        104: 320,
        112: 321,
        120: 322,
        128: 17,
    },
    128: {
        24: 395,
        32: 16,
        40: 396,
        48: 397,
        56: 398,
        64: 18,
        72: 399,
        80: 400,
        88: 401,
        96: 33,
        104: 402,
        112: 403,
        120: 404,
        128: 20,
    },
}
# cublasLtClusterShape_t: one program, two beside each other in features, two in rows.
_CLUSTERS = (2, 3, 5)
# An option of the kernel's own; by the names of kernels, the direction in which tiles are walked.
_WALKS = (1, 3)


@dataclass(frozen=True, slots=True)
class TileConfig:
    """What to set of an algorithm (`cublasLtMatmulAlgoConfigAttributes_t`)."""

    tile: int
    cluster: int
    option: int


def even_tiles(rows: int) -> Iterator[TileConfig]:
    """Configurations whose tiles cut `rows` into a few parts of about one size."""
    for parts in _PARTS:
        part = -(-rows // (parts * _ROWS_UNIT)) * _ROWS_UNIT
        for by_rows in _TILES.values():
            if part in by_rows:
                for cluster in _CLUSTERS:
                    for option in _WALKS:
                        yield TileConfig(by_rows[part], cluster, option)
