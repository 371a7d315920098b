"""How the skinny kernels are launched: a plain function of the shapes, never tuned at run time."""

from dataclasses import dataclass
from typing import Literal

WeightFormat = Literal["dense", "int8", "int4", "fp8"]

PROCESSORS = 132
"""Multiprocessors of the device that the plans are made for (H100, H200)."""
FUSED_NORM_ROWS = 4
"""Up to here each program normalizes the rows for itself; beyond, that costs more than it saves."""


@dataclass(frozen=True, slots=True)
class RowPlan:
    """A launch of `skinny_row_kernel`: `waves` programs a multiprocessor, `block_n` rows a step."""

    block_n: int
    warps: int
    waves: int
    stages: int = 1
    prefetch: int = 0


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
    if rows == 1 and weight_format != "int4":
        width = 1 if weight_format in ("int8", "fp8") else 2
        # About 32 KB of weights a step, spread over all threads.
        block_n = max(2 if gated else 1, min(16, _power_of_two(32768 // (inputs * width))))
        return RowPlan(block_n=block_n, warps=8, waves=2)
    block_n = 16 if features <= 16384 else 32
    if weight_format == "int4":
        block_k = int4_block_k(rows, group)
        splits = 4 if inputs >= 4 * block_k else 2
        return DotPlan(block_n, block_k, splits, warps=splits, stages=3)
    return DotPlan(block_n, 256 if weight_format != "dense" else 128, 4, warps=4, stages=4)


def _power_of_two(n: int) -> int:
    """The largest power of two up to `n`, at least 1."""
    return 1 << max(0, n.bit_length() - 1)
