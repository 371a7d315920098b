"""Launch configs of the kernels for few rows: functions of the shapes, never tuned at run time.

`gemv_dense_launch` and `gemv_packed_launch` for one row, `skinny_dot_launch` for what those two do
not take. Which of the kernels that is, is `dispatch`'s to say.
"""

from dataclasses import dataclass, replace

from ..common.fragments import inputs_of_unit
from ..common.gpu_limits import GpuLimits, largest_power_of_two
from .weight import WeightFormat

SKINNY_ROWS = 16
"""The most rows of activations that a kernel for few rows takes."""
TILE_FEATURES = 16
"""Features (rows of the weight) that a program of `gemv_packed_kernel` takes at a time."""
MANY_TILES = 8
"""Tiles a multiprocessor from which on one program with many warps does better than two."""
LONG_INPUTS = 8192
"""Beyond, a row of activations fills so many registers that fewer weights are on their way."""
FUSED_NORM_ROWS = 4
"""Up to here each program normalizes the rows for itself; beyond, that costs more than it saves."""


@dataclass(frozen=True, slots=True)
class GemvDenseLaunch:
    """A launch of `gemv_dense_kernel`, for one row by a dense weight.

    `programs` a multiprocessor take `block_n` features a step, with `blocks_ahead` blocks of them
    on their way to registers. `next_early` lets the next kernel's programs in from the start, not
    from the end of the kernel before.
    """

    block_n: int
    warps: int
    programs: int
    blocks_ahead: int = 2
    next_early: bool = False


@dataclass(frozen=True, slots=True)
class GemvPackedLaunch:
    """A launch of `gemv_packed_kernel`: up to `programs` a multiprocessor, 16 features a step.

    Each of `warps` takes its inputs in sections of `units` (`inputs_of_unit`), of which
    `sections_ahead` are on their way to registers. `next_early` as in `GemvDenseLaunch`.
    """

    warps: int
    units: int
    programs: int
    sections_ahead: int = 1
    next_early: bool = False

    def sections(self, weight_format: WeightFormat, inputs: int) -> int:
        """Sections of each warp; 0 where they would not end with the inputs."""
        together = self.warps * self.units * inputs_of_unit(weight_format)
        return 0 if inputs % together else inputs // together


@dataclass(frozen=True, slots=True)
class SkinnyDotLaunch:
    """A launch of `skinny_dot_kernel`: `block_n` features a program, inputs cut in `splits`."""

    block_n: int
    block_k: int
    splits: int
    warps: int
    stages: int


SkinnyLaunch = GemvDenseLaunch | GemvPackedLaunch | SkinnyDotLaunch

_GEMV_DENSE_MEASURED = {
    (4096, 4096): GemvDenseLaunch(2, 8, 2, 2, True),  # 10.0
    (4096, 14336): GemvDenseLaunch(1, 8, 2, 1, True),  # 29.7, as a part of a layer
    (6144, 4096): GemvDenseLaunch(2, 8, 2, 2, False),  # 14.9
    (28672, 4096): GemvDenseLaunch(2, 4, 4, 1, True),  # 57.4
}
"""By features and inputs, what an H200 was fastest with; behind each its microseconds."""

_GEMV_PACKED_MEASURED = {
    ("fp8", 4096, 4096): GemvPackedLaunch(8, 4, 2, 1, True),  # 4.8, as a part of a layer
    ("fp8", 4096, 14336): GemvPackedLaunch(16, 2, 2, 1, True),  # 17.9, likewise
    ("fp8", 28672, 4096): GemvPackedLaunch(8, 8, 1, 2, True),  # 32.0, likewise
    ("int8", 4096, 4096): GemvPackedLaunch(8, 4, 2, 1, True),  # 5.0, likewise
}
"""The same by format, features and inputs. Other shapes follow the rules below."""


def gemv_dense_launch(features: int, inputs: int, gated: bool) -> GemvDenseLaunch:
    """Programs that fill the registers, with about 64 KB of a multiprocessor on their way."""
    measured = _GEMV_DENSE_MEASURED.get((features, inputs))
    if measured is not None:
        return measured
    if inputs > LONG_INPUTS:
        return GemvDenseLaunch(2 if gated else 1, 8, programs=2, blocks_ahead=1, next_early=True)
    warps = 8 if inputs > 3072 else 4
    rows = largest_power_of_two(warps * 4096 // (inputs * 2))
    block_n = max(2 if gated else 1, min(4 if inputs <= 1024 else 2, rows))
    return GemvDenseLaunch(block_n, warps, programs=16 // warps, next_early=True)


def gemv_packed_launch(
    weight_format: WeightFormat, features: int, inputs: int, group: int, multiprocessors: int
) -> GemvPackedLaunch | None:
    """Two programs a multiprocessor, with about 64 KB on their way, if that can be made to fit.

    Where each would have many tiles of bytes, one with as many warps as both did better (31.9 us
    against 37.7 for int8's [28672, 4096]); of int4, which has more to unpack, it did not.

    `None` where the inputs cannot be cut evenly, or there are too few features for all programs.
    """
    measured = _GEMV_PACKED_MEASURED.get((weight_format, features, inputs))
    if measured is not None:
        return measured
    if features % TILE_FEATURES or features < multiprocessors * TILE_FEATURES or inputs % 128:
        return None
    units = inputs // inputs_of_unit(weight_format)
    most = most_units(weight_format, group)
    if weight_format != "int4" and features >= MANY_TILES * TILE_FEATURES * multiprocessors:
        own = units // 16
        if units % 16 == 0 and own <= most // 2:
            return GemvPackedLaunch(16, own, programs=1, next_early=True)
    for warps in (8, 4):
        own = units // warps
        if units % warps == 0 and own <= most:
            return GemvPackedLaunch(warps, own, programs=2, next_early=True)
    for warps in (8, 4):
        fitting = [n for n in range(2, most // 2 + 1) if units % (warps * n) == 0]
        if fitting:
            return GemvPackedLaunch(warps, fitting[-1], programs=2, next_early=True)
    return None


def most_units(weight_format: WeightFormat, group: int) -> int:
    """Units of a section: as many as have a column for each group, and 64 registers at most."""
    return min(8, min(group, 128) // 16) if weight_format == "int4" else 8


def columns(rows: int) -> tuple[int, int]:
    """Rows as `skinny_dot_kernel` takes them, a power of two, and the columns that they fill."""
    padded = 1 << (rows - 1).bit_length()
    return padded, max(8, padded)


def skinny_dot_launch(
    weight_format: WeightFormat,
    rows: int,
    features: int,
    inputs: int,
    group: int,
    element_bytes: int,
    chip: GpuLimits,
) -> SkinnyDotLaunch:
    """The launch for `rows` of activations of so many bytes an element; packed, for one row."""
    block_n = 16 if features <= 16384 else 32
    dense = weight_format == "dense"
    if weight_format == "int4":
        # Inputs of a step such that each of the eight columns has a group, or a part of one.
        block_k = 8 * min(group, 128)
        splits = 4 if inputs >= 4 * block_k else 2
        launch = SkinnyDotLaunch(block_n, block_k, splits, warps=splits, stages=3)
    else:
        launch = SkinnyDotLaunch(block_n, 128 if dense else 256, 4, warps=4, stages=4)
    stage_bytes = _stage_bytes(launch, weight_format, rows, element_bytes)
    return replace(launch, stages=chip.stages(launch.stages, stage_bytes))


def _stage_bytes(
    launch: SkinnyDotLaunch, weight_format: WeightFormat, rows: int, element_bytes: int
) -> int:
    """Shared memory of a step: weights, columns of activations, the weight of a norm."""
    inputs = launch.block_k * launch.splits
    activations = inputs * (columns(rows)[1] + 1) * element_bytes
    if weight_format == "int4":
        # Each of the eight columns has the scale and zero of its group.
        grid_bytes = 4 * launch.splits * launch.block_n * 8
        return activations + inputs * launch.block_n // 2 + grid_bytes
    weight_bytes = element_bytes if weight_format == "dense" else 1
    return activations + inputs * launch.block_n * weight_bytes


def pieces_of_a_chunk(pieces: int, threads: int) -> int:
    """How many pieces of a row go together: a power of two that divides them, if that is enough.

    Fewer than the threads would leave some without work, so the last chunk may not be full.
    """
    least = min(threads, 1 << (pieces - 1).bit_length())
    return max(least, pieces & -pieces)
