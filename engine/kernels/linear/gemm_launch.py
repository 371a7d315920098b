"""Launch configs of `gemm_kernel`: a plain table by rows and shape, no search at run time."""

from dataclasses import dataclass, replace
from functools import lru_cache

from ..common.gpu_limits import GpuLimits
from .weight import WeightFormat

BLOCK_K = 128
"""Inputs a program takes in one pass of its loop; `planes.BLOCK`."""
PARTIAL_ELEMENTS = 8 << 20
"""fp32 sums that the split products of one device have room for: 32 MiB."""
LARGEST_TILE_COUNT = 1 << 14
"""Tiles that a split product may have: there is one arrival counter for each."""


@dataclass(frozen=True, slots=True)
class GemmLaunch:
    """A tile is `block_n` features × `block_m` rows; `splits` programs share its inputs.

    `bulk` says that both operands are brought by descriptors (`tile_descriptors`); where one has
    none, a launch with pointers takes this one's place.
    """

    block_n: int
    block_m: int
    stages: int
    warps: int
    splits: int
    blocks_per_split: int
    bulk: bool = False

    def tiles(self, rows: int, features: int) -> int:
        """Tiles that an output `[rows, features]` is cut into."""
        return _ceil(rows, self.block_m) * _ceil(features, self.block_n)

    def fits(self, rows: int, features: int) -> bool:
        """Whether the sums of a split product have room in the workspace."""
        tiles = self.tiles(rows, features)
        sums = self.splits * tiles * self.block_m * self.block_n
        return self.splits == 1 or (tiles <= LARGEST_TILE_COUNT and sums <= PARTIAL_ELEMENTS)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's form, and how far its inputs may be split.

    There are at most `programs` for each multiprocessor, which should all be resident and leave no
    room for more: the next kernel's would move in beside some of them, and slow those down. Each
    has at least `least_blocks` blocks of inputs: adding up the parts costs some microseconds.
    """

    block_n: int
    block_m: int
    stages: int
    warps: int
    programs: int
    least_blocks: int = 2
    bulk: bool = False


_TILES: dict[WeightFormat, dict[int, Tile]] = {
    "int8": {
        32: Tile(64, 32, 6, 4, 2, 8),
        64: Tile(64, 64, 4, 4, 2),
        128: Tile(128, 128, 4, 8, 1),
        256: Tile(128, 256, 3, 8, 1, 16),
    },
    "int4": {
        32: Tile(128, 32, 5, 4, 2, 6),
        64: Tile(128, 64, 5, 8, 1, 6),
        128: Tile(128, 128, 3, 8, 1),
        256: Tile(256, 128, 3, 8, 1, 16),
    },
    "fp8": {
        32: Tile(64, 32, 8, 4, 1, 4),
        64: Tile(64, 64, 6, 4, 1),
        128: Tile(64, 128, 6, 4, 1, 8),
        256: Tile(128, 128, 4, 8, 1),
    },
    "dense": {
        32: Tile(64, 32, 6, 4, 1),
        64: Tile(64, 64, 5, 4, 1),
        128: Tile(64, 128, 4, 4, 1),
        256: Tile(128, 128, 3, 8, 1),
    },
}
"""The tile for up to so many rows; beyond the last, several row tiles of the last kind.

Measured on an H200 by whole decode steps of an 8-billion-parameter model: few tiles, so that few
kernels are built, each within a few per cent of the best for its shape.
"""

_BULK_TILES: dict[WeightFormat, dict[int, tuple[Tile, Tile | None]]] = {
    "int8": {
        32: (Tile(128, 32, 4, 4, 1, bulk=True), None),
        64: (Tile(128, 64, 4, 4, 1, bulk=True), Tile(64, 64, 4, 4, 2, bulk=True)),
    },
    "int4": {
        32: (Tile(128, 32, 4, 4, 1, bulk=True), Tile(64, 32, 4, 4, 2, bulk=True)),
        64: (Tile(128, 64, 4, 4, 1, bulk=True), Tile(64, 64, 4, 4, 2, bulk=True)),
    },
    "fp8": {
        32: (Tile(128, 32, 3, 8, 1, bulk=True), None),
        64: (Tile(128, 64, 3, 8, 1, bulk=True), None),
    },
    "dense": {
        32: (Tile(128, 32, 4, 4, 1, bulk=True), None),
        64: (Tile(128, 64, 4, 4, 1, bulk=True), None),
    },
}
"""What replaces those tiles where both operands have descriptors: for many features, and for few.

`None` where pointers are faster, by up to 16 % at fp8. Measured on an H200 by the products of an
8-billion-parameter layer in a chain. Copies then take hardly an instruction, and 128 features a
tile pay as soon as there are enough tiles: gate and up take 36 µs instead of 48 for 64 rows at
int8. At bf16 few features gain nothing, and small models lose: whole steps of 0.6B took 5 to 9 %
longer. For more rows descriptors were not measured: those keep to pointers.
"""

ENOUGH_TILES = 96
"""Fewer large tiles than this leave more multiprocessors idle than they save traffic."""


# A prefill step launches from the host, where doing this anew took a fifth of our time for a layer.
@lru_cache(maxsize=1024)
def gemm_launch(
    weight_format: WeightFormat,
    rows: int,
    features: int,
    inputs: int,
    chip: GpuLimits,
    bulk: bool = False,
) -> GemmLaunch:
    """The launch for `[rows, inputs] × [features, inputs]ᵀ`; `bulk` allows descriptors."""
    tile = _bulk_tile(weight_format, rows, features) if bulk else None
    if tile is None:
        tile = _tile(weight_format, rows, features)
    # What a descriptor brings is in shared memory for all stages, what pointers bring for one less.
    outside = 0 if tile.bulk else 1
    stages = chip.stages(tile.stages, _stage_bytes(weight_format, tile), outside)
    return split_inputs(replace(tile, stages=stages), rows, features, inputs, chip.multiprocessors)


def _bulk_tile(weight_format: WeightFormat, rows: int, features: int) -> Tile | None:
    for limit, (many, few) in _BULK_TILES[weight_format].items():
        if rows <= limit:
            return few if _too_few(many, rows, features) else many
    return None


def _tile(weight_format: WeightFormat, rows: int, features: int) -> Tile:
    tiles = list(_TILES[weight_format].items())
    number = next((n for n, (limit, _) in enumerate(tiles) if rows <= limit), len(tiles) - 1)
    limit, tile = tiles[number]
    return tiles[number - 1][1] if limit > 64 and _too_few(tile, rows, features) else tile


def _too_few(tile: Tile, rows: int, features: int) -> bool:
    return _ceil(rows, tile.block_m) * _ceil(features, tile.block_n) < ENOUGH_TILES


def _stage_bytes(weight_format: WeightFormat, tile: Tile) -> int:
    """What a block of inputs of the weight and of the activations takes, grids included.

    And with descriptors the barriers that the copies are awaited at.
    """
    weight_bits = {"dense": 16, "int8": 8, "int4": 4, "fp8": 8}[weight_format]
    grid_bytes = 8 * tile.block_n if weight_format == "int4" else 0
    activation_bytes = 1 if weight_format == "fp8" else 2
    weight_bytes = tile.block_n * BLOCK_K * weight_bits // 8
    barrier_bytes = 32 if tile.bulk else 0
    return weight_bytes + grid_bytes + tile.block_m * BLOCK_K * activation_bytes + barrier_bytes


def split_inputs(
    tile: Tile, rows: int, features: int, inputs: int, multiprocessors: int
) -> GemmLaunch:
    """Split the inputs until every multiprocessor has its programs, as far as the tile allows."""
    blocks = _ceil(inputs, BLOCK_K)
    count = _ceil(rows, tile.block_m) * _ceil(features, tile.block_n)
    programs = multiprocessors * tile.programs
    room = PARTIAL_ELEMENTS // (count * tile.block_m * tile.block_n)
    splits = max(1, min(programs // count, blocks // tile.least_blocks, room))
    if count > LARGEST_TILE_COUNT:
        splits = 1
    blocks_per_split = _ceil(blocks, splits)
    return GemmLaunch(
        block_n=tile.block_n,
        block_m=tile.block_m,
        stages=tile.stages,
        warps=tile.warps,
        splits=_ceil(blocks, blocks_per_split),
        blocks_per_split=blocks_per_split,
        bulk=tile.bulk,
    )


def _ceil(value: int, unit: int) -> int:
    return -(-value // unit)
