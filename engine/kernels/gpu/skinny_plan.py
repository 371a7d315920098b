"""How the skinny kernels are launched: a plain function of the shapes, never tuned at run time."""

from dataclasses import dataclass
from typing import Literal

from .skinny_measured import AT_ONE_ROW, Launch

WeightFormat = Literal["dense", "int8", "int4", "fp8"]

PROCESSORS = 132
"""Multiprocessors of the device that the plans are made for (H100, H200)."""
MEASURED_GROUP = 64
LONG_INPUTS = 8192
"""Beyond, a row of activations fills so many registers that fewer weights are on their way."""
FUSED_NORM_ROWS = 4
"""Up to here each program normalizes the rows for itself; beyond, that costs more than it saves."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """A launch of `skinny_row_kernel`: `waves` programs a multiprocessor, `block_n` rows a step.

    `depth` blocks of rows are on their way to registers, `prefetch` more to the L2 cache at first.
    `early` lets the next kernel's programs in from the start, not from the end of the one before.
    """

    block_n: int
    warps: int
    waves: int
    depth: int = 2
    prefetch: int = 0
    early: bool = False


@dataclass(frozen=True, slots=True)
class DotPlan:
    """A launch of `skinny_dot_kernel`: `block_n` rows a program, inputs cut in `splits`."""

    block_n: int
    block_k: int
    splits: int
    warps: int
    stages: int
    prefetch: int = 0


Plan = RowPlan | DotPlan


def columns(rows: int) -> tuple[int, int]:
    """Rows as the dot kernel takes them, a power of two, and the columns that they fill."""
    padded = 1 << (rows - 1).bit_length()
    return padded, max(8, padded)


def int4_block_k(rows: int, group: int) -> int:
    """Inputs of a step such that free columns hold as many groups as there is room for."""
    padded, wide = columns(rows)
    return max(128, wide // padded * min(group, 128))


def plan_skinny(
    weight_format: WeightFormat, rows: int, features: int, inputs: int, group: int, gated: bool
) -> Plan:
    """The launch for `rows` of `inputs` by a weight of `features` rows."""
    measured = AT_ONE_ROW.get((weight_format, features, inputs)) if rows == 1 else None
    if measured is not None and (weight_format != "int4" or group == MEASURED_GROUP):
        return _measured_plan(measured)
    long = inputs > LONG_INPUTS
    if rows == 1 and long and weight_format == "dense":
        return RowPlan(block_n=2 if gated else 1, warps=8, waves=2, depth=1, early=True)
    if rows == 1 and long and weight_format == "int8":
        return DotPlan(block_n=16, block_k=256, splits=4, warps=4, stages=4)
    # The row kernel reads fp8 weights four at a time.
    if rows == 1 and (weight_format != "fp8" or inputs % 4 == 0):
        return _plan_row(weight_format, features, inputs, gated)
    block_n = 16 if features <= 16384 else 32
    if weight_format == "int4":
        block_k = int4_block_k(rows, group)
        splits = 4 if inputs >= 4 * block_k else 2
        return DotPlan(block_n, block_k, splits, warps=splits, stages=3)
    return DotPlan(block_n, 256 if weight_format != "dense" else 128, 4, warps=4, stages=4)


def _measured_plan(launch: Launch) -> Plan:
    kind, block_n, second, third, fourth, fifth, sixth = launch
    if kind == "dot":
        return DotPlan(block_n, second, third, fourth, fifth, sixth)
    return RowPlan(block_n, second, third, fourth, fifth, early=bool(sixth))


def _plan_row(weight_format: WeightFormat, features: int, inputs: int, gated: bool) -> RowPlan:
    """Programs that fill the registers, with about 64 KB of a multiprocessor on their way."""
    bits = {"dense": 16, "int8": 8, "fp8": 8, "int4": 4}[weight_format]
    warps = 4
    if inputs > LONG_INPUTS:
        warps = 16
    elif weight_format == "dense" and inputs > 3072:
        warps = 8
    rows = _power_of_two(warps * 4096 * 8 // (inputs * bits))
    block_n = max(2 if gated else 1, min(4 if inputs <= 1024 else 2, rows))
    depth = 3 if weight_format == "int4" else 2
    return RowPlan(block_n, warps, waves=16 // warps, depth=depth, prefetch=2, early=True)


def pieces_of_a_chunk(pieces: int, threads: int) -> int:
    """How many pieces of a row go together: a power of two that divides them, if that is enough.

    Fewer than the threads would leave some without work, so the last chunk may not be full.
    """
    least = min(threads, 1 << (pieces - 1).bit_length())
    return max(least, pieces & -pieces)


def _power_of_two(n: int) -> int:
    """The largest power of two up to `n`, at least 1."""
    return 1 << max(0, n.bit_length() - 1)
