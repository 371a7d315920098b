"""How the skinny kernels are launched: a plain function of the shapes, never tuned at run time."""

from dataclasses import dataclass, replace
from typing import Literal

import torch

from ..common.fragments import inputs_of_unit
from ..common.gpu_limits import GpuLimits, largest_power_of_two
from .skinny_measured import AT_ONE_ROW, Launch

WeightFormat = Literal["dense", "int8", "int4", "fp8"]

MEASURED_GROUP = 64
MANY_TILES = 8
"""Tiles a multiprocessor from which on one program with many warps does better than two."""
TILE_ROWS = 16
"""Rows of the weight that a program of `skinny_mma_kernel` takes at a time."""
LONG_INPUTS = 8192
"""Beyond, a row of activations fills so many registers that fewer weights are on their way."""
FUSED_NORM_ROWS = 4
"""Up to here each program normalizes the rows for itself; beyond, that costs more than it saves."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """A launch of `skinny_row_kernel`, for one row by a dense weight.

    `waves` programs a multiprocessor take `block_n` rows of the weight a step, with `depth` blocks
    of them on their way to registers. `early` lets the next kernel's programs in from the start,
    not from the end of the one before.
    """

    block_n: int
    warps: int
    waves: int
    depth: int = 2
    early: bool = False


@dataclass(frozen=True, slots=True)
class DotPlan:
    """A launch of `skinny_dot_kernel`: `block_n` rows a program, inputs cut in `splits`."""

    block_n: int
    block_k: int
    splits: int
    warps: int
    stages: int


@dataclass(frozen=True, slots=True)
class MmaPlan:
    """A launch of `skinny_mma_kernel`: up to `waves` programs a multiprocessor, 16 rows a step.

    Each of `warps` takes its inputs in sections of `units` (`inputs_of_unit`), of which `depth` are
    on their way to registers. `early` as in `RowPlan`.
    """

    warps: int
    units: int
    waves: int
    depth: int = 1
    early: bool = False

    def sections(self, weight_format: WeightFormat, inputs: int) -> int:
        """Sections of each warp; 0 where they would not end with the inputs."""
        together = self.warps * self.units * inputs_of_unit(weight_format)
        return 0 if inputs % together else inputs // together


Plan = RowPlan | DotPlan | MmaPlan


def columns(rows: int) -> tuple[int, int]:
    """Rows as the dot kernel takes them, a power of two, and the columns that they fill."""
    padded = 1 << (rows - 1).bit_length()
    return padded, max(8, padded)


def int4_block_k(rows: int, group: int) -> int:
    """Inputs of a step such that free columns hold as many groups as there is room for."""
    padded, wide = columns(rows)
    return max(128, wide // padded * min(group, 128))


def plan_skinny(
    weight_format: WeightFormat,
    rows: int,
    features: int,
    inputs: int,
    group: int,
    gated: bool,
    dtype: torch.dtype,
    chip: GpuLimits,
) -> Plan:
    """The launch for `rows` of `inputs`, of `dtype`, by a weight of `features` rows."""
    dense = weight_format == "dense"
    if rows == 1 and (dense or dtype is torch.bfloat16):
        measured = AT_ONE_ROW.get((weight_format, features, inputs))
        if measured is not None and (weight_format != "int4" or group == MEASURED_GROUP):
            return _measured_plan(measured)
        if dense:
            return _plan_row(features, inputs, gated)
        mma = plan_mma(weight_format, features, inputs, group, chip.multiprocessors)
        if mma is not None:
            return mma
    block_n = 16 if features <= 16384 else 32
    if weight_format == "int4":
        block_k = int4_block_k(rows, group)
        splits = 4 if inputs >= 4 * block_k else 2
        wanted = DotPlan(block_n, block_k, splits, warps=splits, stages=3)
    else:
        wanted = DotPlan(block_n, 128 if dense else 256, 4, warps=4, stages=4)
    stage_bytes = _stage_bytes(wanted, weight_format, rows, group, dtype.itemsize)
    return replace(wanted, stages=chip.stages(wanted.stages, stage_bytes))


def _stage_bytes(
    plan: DotPlan, weight_format: WeightFormat, rows: int, group: int, element_bytes: int
) -> int:
    """What a step of the dot kernel holds: weights, columns of activations, the gain of a norm."""
    inputs = plan.block_k * plan.splits
    padded, wide = columns(rows)
    held = inputs * (wide + 1) * element_bytes
    if weight_format == "int4":
        # Each column has the scale and zero of its group, in each of a step's turns.
        turns = max(1, 128 // (wide // padded * min(group, 128)))
        grid_bytes = 4 * plan.splits * plan.block_n * wide * turns
        return held + inputs * plan.block_n // 2 + grid_bytes
    return held + inputs * plan.block_n * (element_bytes if weight_format == "dense" else 1)


def plan_mma(
    weight_format: WeightFormat, features: int, inputs: int, group: int, processors: int
) -> MmaPlan | None:
    """Two programs a multiprocessor, with about 64 KB on their way, if that can be made to fit.

    Where each would have many tiles of bytes, one with as many warps as both did better (31.9 us
    against 37.7 for int8's [28672, 4096]); of int4, which has more to unpack, it did not.

    None where the inputs cannot be cut evenly, or the weight has too few rows for all programs.
    """
    if features % TILE_ROWS or features < processors * TILE_ROWS or inputs % 128:
        return None
    units = inputs // inputs_of_unit(weight_format)
    most = most_units(weight_format, group)
    if weight_format != "int4" and features >= MANY_TILES * TILE_ROWS * processors:
        own = units // 16
        if units % 16 == 0 and own <= most // 2:
            return MmaPlan(16, own, waves=1, early=True)
    for warps in (8, 4):
        own = units // warps
        if units % warps == 0 and own <= most:
            return MmaPlan(warps, own, waves=2, early=True)
    for warps in (8, 4):
        fitting = [n for n in range(2, most // 2 + 1) if units % (warps * n) == 0]
        if fitting:
            return MmaPlan(warps, fitting[-1], waves=2, early=True)
    return None


def most_units(weight_format: WeightFormat, group: int) -> int:
    """Units of a section: as many as have a column for each group, and 64 registers at most."""
    return min(8, min(group, 128) // 16) if weight_format == "int4" else 8


def _measured_plan(launch: Launch) -> Plan:
    kind, first, second, waves, depth, early = launch
    if kind == "mma":
        return MmaPlan(first, second, waves, depth, bool(early))
    return RowPlan(first, second, waves, depth, bool(early))


def _plan_row(features: int, inputs: int, gated: bool) -> RowPlan:
    """Programs that fill the registers, with about 64 KB of a multiprocessor on their way."""
    if inputs > LONG_INPUTS:
        return RowPlan(block_n=2 if gated else 1, warps=8, waves=2, depth=1, early=True)
    warps = 8 if inputs > 3072 else 4
    rows = largest_power_of_two(warps * 4096 // (inputs * 2))
    block_n = max(2 if gated else 1, min(4 if inputs <= 1024 else 2, rows))
    return RowPlan(block_n, warps, waves=16 // warps, early=True)


def pieces_of_a_chunk(pieces: int, threads: int) -> int:
    """How many pieces of a row go together: a power of two that divides them, if that is enough.

    Fewer than the threads would leave some without work, so the last chunk may not be full.
    """
    least = min(threads, 1 << (pieces - 1).bit_length())
    return max(least, pieces & -pieces)
