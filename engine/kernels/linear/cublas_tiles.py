"""Tiles of cuBLAS' kernels for Hopper that cut a product's rows evenly.

For a number of rows that is no multiple of 64 the heuristics seldom name the tile of which two or
three fit exactly. Of all configurations for 144 rows by 4096 × 4096 on an H200 the fastest, 64 × 72
with both tiles of a column in a cluster, takes 13.3 µs, the best that they list 16.6.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_PARTS = (2, 3)
_ROWS_UNIT = 8
_TILE_ROWS = range(24, 129, _ROWS_UNIT)
# cublasLtMatmulTile_t by features and rows.
_TILES = {
    64: (313, 13, 314, 315, 316, 15, 317, 318, 319, 26, 320, 321, 322, 17),
    128: (395, 16, 396, 397, 398, 18, 399, 400, 401, 33, 402, 403, 404, 20),
}
# cublasLtClusterShape_t: one program, two beside each other in features, two in rows.
_CLUSTERS = (2, 3, 5)
# An option of the kernel's own; by the names of kernels, the direction in which tiles are walked.
_WALKS = (1, 3)
# Of all tiles those that were near the fastest for some e4m3 product of 256 or 1,024 rows.
_FP8_TILES = (13, 15, 16, 17, 18, 20, 26, 28, 33)
_FP8_WALKS = (0, 1, 3)


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
        if part in _TILE_ROWS:
            for tiles in _TILES.values():
                tile = tiles[_TILE_ROWS.index(part)]
                for cluster in _CLUSTERS:
                    for option in _WALKS:
                        yield TileConfig(tile, cluster, option)


def fp8_tiles(rows: int) -> Iterator[TileConfig]:
    """Configurations for a product of e4m3: the heuristics name a single one.

    For 256 rows of the 8B shape's four layers that one takes 119 µs, the best of these 99.
    """
    yield from even_tiles(rows)
    for tile in _FP8_TILES:
        for cluster in _CLUSTERS:
            for option in _FP8_WALKS:
                yield TileConfig(tile, cluster, option)
