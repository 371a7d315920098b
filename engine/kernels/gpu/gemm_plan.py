"""How a product is cut into programs: a plain table by rows and shape, no search at run time."""

from dataclasses import dataclass
from typing import Literal

WeightFormat = Literal["int8", "int4", "fp8", "bf16"]

BLOCK_K = 128
"""Inputs a program takes in one pass of its loop; `planes.BLOCK`."""
PARTIAL_ELEMENTS = 8 << 20
"""fp32 sums that the split products of one device have room for: 32 MiB."""
LARGEST_TILE_COUNT = 1 << 14
"""Tiles that a split product may have: there is one arrival counter for each."""
_MULTIPROCESSORS = 132


@dataclass(frozen=True, slots=True)
class GemmPlan:
    """A tile is `block_n` features × `block_m` rows; `splits` programs share its inputs."""

    block_n: int
    block_m: int
    stages: int
    warps: int
    splits: int
    blocks_per_split: int

    def tiles(self, rows: int, features: int) -> int:
        return _ceil(rows, self.block_m) * _ceil(features, self.block_n)


@dataclass(frozen=True, slots=True)
class Tile:
    block_n: int
    block_m: int
    stages: int
    warps: int
    programs_per_processor: int


_TILES: dict[WeightFormat, dict[int, Tile]] = {
    "int8": {
        32: Tile(128, 32, 4, 4, 2),
        64: Tile(128, 64, 3, 4, 2),
        128: Tile(128, 128, 3, 8, 1),
        256: Tile(128, 256, 2, 8, 1),
    },
    "int4": {
        32: Tile(128, 32, 5, 4, 2),
        64: Tile(128, 64, 4, 4, 2),
        128: Tile(128, 128, 4, 8, 1),
        256: Tile(128, 256, 2, 8, 1),
    },
    "fp8": {
        32: Tile(128, 32, 4, 4, 2),
        64: Tile(128, 64, 4, 4, 2),
        128: Tile(128, 128, 4, 8, 1),
        256: Tile(128, 256, 3, 8, 1),
    },
    "bf16": {
        32: Tile(128, 32, 3, 4, 2),
        64: Tile(128, 64, 3, 4, 1),
        128: Tile(128, 128, 3, 8, 1),
        256: Tile(128, 256, 2, 8, 1),
    },
}
"""The tile for up to so many rows; beyond the last, several row tiles of the last kind."""


def plan_gemm(weight_format: WeightFormat, rows: int, features: int, inputs: int) -> GemmPlan:
    """The plan for `[rows, inputs] × [features, inputs]ᵀ`."""
    tiles = _TILES[weight_format]
    tile = tiles[next((limit for limit in tiles if rows <= limit), max(tiles))]
    return split_inputs(tile, rows, features, inputs)


def split_inputs(tile: Tile, rows: int, features: int, inputs: int) -> GemmPlan:
    """Split the inputs until every processor has its programs, each with at least two blocks."""
    blocks = _ceil(inputs, BLOCK_K)
    count = _ceil(rows, tile.block_m) * _ceil(features, tile.block_n)
    programs = _MULTIPROCESSORS * tile.programs_per_processor
    room = PARTIAL_ELEMENTS // (count * tile.block_m * tile.block_n)
    splits = max(1, min(programs // count, blocks // 2, room))
    if count > LARGEST_TILE_COUNT:
        splits = 1
    blocks_per_split = _ceil(blocks, splits)
    return GemmPlan(
        block_n=tile.block_n,
        block_m=tile.block_m,
        stages=tile.stages,
        warps=tile.warps,
        splits=_ceil(blocks, blocks_per_split),
        blocks_per_split=blocks_per_split,
    )


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit)
