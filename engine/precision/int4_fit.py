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
from dataclasses import dataclass

import torch
from torch import Tensor

from .quantize import Int4Weight, int4_range, round_to_int4

SHRINKING = (1.0, 0.9)
"""Parts of the range that are tried, the whole one first. Measured: docs/performance-notes.md."""
_CPU_ELEMENTS = 1 << 17
"""Weights summed at a time: what is made of them stays in a core's own cache."""
_GPU_ELEMENTS = 1 << 24
_FARTHEST_ZERO = 256.0
"""In steps. A zero beyond is kept too coarsely in bf16 for positions to be exact to their unit."""
_FARTHEST_POSITION = 9.0
"""In steps from the middle of the range: half the range, and the rounding of scale and zero."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Scale and zero from minimum and maximum, fp32 `[groups]`, and the range's middle.

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
    """Sums over a group, fp32 `[parts, groups]`: of `h = q - 7.5` and the position `p`."""

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
    rows = weight.shape[0]
    q = torch.empty(weight.shape, dtype=torch.int32, device=weight.device).view(-1, group)
    # Its memory holds the weight in fp32 until the rounding: new memory takes as long as the work.
    wide = q.view(torch.float32).copy_(weight.view_as(q))
    parts = _parts(wide)
    work = wide.new_empty(3, *wide[parts[0]].shape)
    full = _full_range(wide, storage)
    scale, zero = _best_lines(full, _sums(wide, parts, full, work), storage)
    for part in parts:
        rounded = _like(work[0], part)
        q[part] = round_to_int4(wide[part], scale[part], zero[part], out=rounded)
    return Int4Weight(q.view(rows, -1), scale.view(rows, -1), zero.view(rows, -1))


def _parts(wide: Tensor) -> list[slice]:
    """Some of the groups `[groups, group]` at a time, the first part the largest."""
    elements = _CPU_ELEMENTS if wide.device.type == "cpu" else _GPU_ELEMENTS
    groups, step = len(wide), max(1, elements // wide.shape[1])
    return [slice(first, min(first + step, groups)) for first in range(0, groups, step)]


def _like(work: Tensor, part: slice) -> Tensor:
    """As much of working memory as `part` has groups."""
    return work[: part.stop - part.start]


def _full_range(wide: Tensor, storage: torch.dtype) -> _Range:
    low, high = wide.amin(dim=-1), wide.amax(dim=-1)
    scale, zero = int4_range(low, high, storage)
    middle = zero - 0.5 * scale
    # 8 · 8 · units · group must stay below 2²⁴, with room for positions a little farther out.
    units = 2.0 ** (17 - math.ceil(math.log2(wide.shape[-1])))
    farthest = torch.maximum(high - middle, middle - low)
    fits = (farthest < _FARTHEST_POSITION * scale) & (zero.abs() < _FARTHEST_ZERO * scale)
    middle.masked_fill_(~fits, float("nan"))
    return _Range(scale, zero, middle, units, wide.shape[-1])


def _sums(wide: Tensor, parts: list[slice], full: _Range, work: Tensor) -> _Sums:
    """The sums for the `q` that each part of `SHRINKING` gives."""
    low, low_squared, low_position = wide.new_empty(3, len(SHRINKING), len(wide))
    total = torch.empty_like(full.scale)
    unit = full.scale / full.units
    for part in parts:
        position, below, product = _like(work[0], part), _like(work[1], part), _like(work[2], part)
        torch.sub(wide[part], full.middle[part].unsqueeze(-1), out=position)
        position.div_(unit[part].unsqueeze(-1)).round_()
        torch.sum(position, -1, out=total[part])
        for index, share in enumerate(SHRINKING):
            # q - 8: the next lower whole number, half a step below what it stands for.
            torch.mul(position, 1 / (share * full.units), out=below).floor_().clamp_(-8.0, 7.0)
            torch.sum(below, -1, out=low[index, part])
            torch.sum(torch.mul(position, below, out=product), -1, out=low_position[index, part])
            torch.sum(torch.mul(below, below, out=product), -1, out=low_squared[index, part])
    return _Sums(
        h=low + 0.5 * full.count,
        hh=low_squared + low + 0.25 * full.count,
        hp=low_position + 0.5 * total,
        p=total,
    )


def _best_lines(full: _Range, sums: _Sums, storage: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scales and zeros fp32 `[groups]`, as `storage` has them."""
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
    """Scales and zeros `[parts, groups]` of the lines of least squared error."""
    count = full.count
    steps = (count * sums.hp - sums.h * sums.p) / (count * sums.hh - sums.h * sums.h)
    offsets = (sums.p - steps * sums.h) / count
    scales = (steps / full.units * full.scale).to(storage).float()
    zeros = full.middle + offsets / full.units * full.scale + 0.5 * scales
    return scales, zeros.to(storage).float()
