"""Fitting scale and zero of every int4 group to its weights, in place of minimum and maximum.

A group's range is shrunk about its middle by a few factors. For the `q` to which each rounds the
weights, scale and zero of least squared error have a closed form: the line through the points
(q, weight). It is rounded to its storage dtype, the best line of a group is taken, and the weights
are rounded anew by it. Where no line is surely better than rounding over the whole range, the
group keeps the latter.

All sums over a group are of whole numbers below 2²⁴, exact in fp32 whatever their order, and what
follows is done group by group: a CPU and a GPU choose the same.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .quantize import Int4Weight, int4_range, round_to_int4

SHRINKING = (1.0, 0.9)
"""Parts of the range that are tried, the whole one first. Measured: docs/performance-notes.md."""
_CPU_ELEMENTS = 1 << 18
"""Weights summed at a time: what is made of them stays in a core's own cache."""
_GPU_ELEMENTS = 1 << 22
_FARTHEST_ZERO = 256.0
"""In steps. A zero beyond is kept too coarsely in bf16 for positions to be exact to their unit."""
_FARTHEST_POSITION = 9.0
"""In steps from the middle of the range: half the range, and the rounding of scale and zero."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Scale and zero from minimum and maximum, fp32 `[rows, groups]`, and the range's middle.

    Positions are counted from `middle` in units, of which a step (`scale`) has `units`. Where a
    range is too odd for that, `middle` is no number, and neither is what is made of it.
    """

    scale: Tensor
    zero: Tensor
    middle: Tensor
    units: float
    count: int
    """Weights of a group."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over a group, fp32 `[parts, rows, groups]`: of `h = q - 7.5` and the position `p`."""

    h: Tensor
    hh: Tensor
    hp: Tensor
    p: Tensor

    def error(self, step: Tensor | float, offset: Tensor | float, count: int) -> Tensor:
        """Sum of (step · h + offset - p)², less that of p², which is the same for every line."""
        of_step = step * (step * self.hh + 2 * (offset * self.h - self.hp))
        return of_step + offset * (count * offset - 2 * self.p)


def fit_int4(weight: Tensor, group: int, storage: torch.dtype) -> Int4Weight:
    """int4 of `[out, in]` in groups of `group` inputs, by scales and zeros of small squared error.

    The form is that of `quantize_int4`, and no group's squared error is larger than there.
    """
    rows, columns = weight.shape
    grouped = weight.view(rows, columns // group, group)
    full = _full_range(grouped, storage)
    scale, zero = _best_lines(full, _sums(grouped, full), storage)
    q = torch.empty_like(grouped, dtype=torch.int32)
    for part, wide in _parts(grouped):
        q[part] = round_to_int4(wide, scale[part], zero[part], out=torch.empty_like(wide))
    return Int4Weight(q.flatten(1), scale, zero)


def _parts(grouped: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows of `[rows, groups, group]` at a time, in fp32: the weight itself where it is."""
    elements = _CPU_ELEMENTS if grouped.device.type == "cpu" else _GPU_ELEMENTS
    step = max(1, elements // grouped[0].numel())
    for first in range(0, len(grouped), step):
        rows = slice(first, min(first + step, len(grouped)))
        yield rows, grouped[rows].float()


def _full_range(grouped: Tensor, storage: torch.dtype) -> _Range:
    low, high = grouped.new_empty(2, *grouped.shape[:2], dtype=torch.float32)
    for rows, wide in _parts(grouped):
        low[rows], high[rows] = wide.amin(dim=-1), wide.amax(dim=-1)
    scale, zero = int4_range(low, high, storage)
    middle = zero - 0.5 * scale
    # 8 · 8 · units · group must stay below 2²⁴, with room for positions a little farther out.
    units = 2.0 ** (17 - math.ceil(math.log2(grouped.shape[-1])))
    farthest = torch.maximum(high - middle, middle - low)
    fits = (farthest < _FARTHEST_POSITION * scale) & (zero.abs() < _FARTHEST_ZERO * scale)
    middle.masked_fill_(~fits, float("nan"))
    return _Range(scale, zero, middle, units, grouped.shape[-1])


def _sums(grouped: Tensor, full: _Range) -> _Sums:
    """The sums for the `q` that each part of `SHRINKING` gives."""
    low, low_squared, low_position = grouped.new_empty(
        3, len(SHRINKING), *grouped.shape[:2], dtype=torch.float32
    )
    total = torch.empty_like(full.scale)
    for rows, wide in _parts(grouped):
        position = torch.sub(wide, full.middle[rows].unsqueeze(-1))
        position.div_(full.scale[rows].unsqueeze(-1)).mul_(full.units).round_()
        total[rows] = position.sum(-1)
        below, product = torch.empty_like(position), torch.empty_like(position)
        for part, share in enumerate(SHRINKING):
            # q - 8: the next lower whole number, half a step below what it stands for.
            torch.mul(position, 1 / (share * full.units), out=below).floor_().clamp_(-8.0, 7.0)
            low[part, rows] = below.sum(-1)
            low_position[part, rows] = torch.mul(position, below, out=product).sum(-1)
            low_squared[part, rows] = below.square_().sum(-1)
    return _Sums(
        h=low + 0.5 * full.count,
        hh=low_squared + low + 0.25 * full.count,
        hp=low_position + 0.5 * total,
        p=total,
    )


def _best_lines(full: _Range, sums: _Sums, storage: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scales and zeros fp32 `[rows, groups]`, as `storage` has them."""
    scales, zeros = _lines(full, sums, storage)
    # As they are stored: step and offset in units from the middle.
    steps = scales / full.scale * full.units
    offsets = (zeros - 0.5 * scales - full.middle) / full.scale * full.units
    errors = sums.error(steps, offsets, full.count)
    # Surely better: positions are off by half a unit each, levels differ by about a step.
    least = sums.error(full.units, 0.0, full.count)[0] - full.count * full.units
    scale, zero = full.scale, full.zero
    for part in range(len(SHRINKING)):
        better = errors[part] < least
        scale = torch.where(better, scales[part], scale)
        zero = torch.where(better, zeros[part], zero)
        least = torch.where(better, errors[part], least)
    return scale, zero


def _lines(full: _Range, sums: _Sums, storage: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scales and zeros `[parts, rows, groups]` of the lines of least squared error."""
    count = full.count
    steps = (count * sums.hp - sums.h * sums.p) / (count * sums.hh - sums.h * sums.h)
    offsets = (sums.p - steps * sums.h) / count
    scales = (steps / full.units * full.scale).to(storage).float()
    zeros = full.middle + offsets / full.units * full.scale + 0.5 * scales
    return scales, zeros.to(storage).float()
