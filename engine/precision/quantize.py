"""Rounding a weight to few bits: pure functions from a master weight to what a level stores."""

from dataclasses import dataclass

import torch
from torch import Tensor

# By products with 1 / n, not divided by n: torch on a GPU makes that of a division by a number, on
# a CPU it does not, and a scale may differ in its last bit.

E4M3_LARGEST = 448.0


@dataclass(frozen=True, slots=True)
class Int8Weight:
    """`W ≈ q · scale`: `q` int8 `[out, in]`, `scale` `[out]` in its storage dtype."""

    q: Tensor
    scale: Tensor


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """`W ≈ (q − 8) · scale + zero` a group: `q` int32 `[out, in]` in 0 … 15; fp32 `[out, groups]`.

    The form is that of torch's int4 kernels: `zero` is the value of `q = 8`.
    """

    q: Tensor
    scale: Tensor
    zero: Tensor

    def scales_and_zeros(self, dtype: torch.dtype) -> Tensor:
        """`[groups, out, 2]`, as torch's kernels read it."""
        return torch.stack((self.scale, self.zero), dim=-1).transpose(0, 1).contiguous().to(dtype)


@dataclass(frozen=True, slots=True)
class Fp8Weight:
    """`W ≈ q · scale`: `q` e4m3 `[out, in]`, `scale` fp32 `[1, out]`."""

    q: Tensor
    scale: Tensor


def quantize_int8(weight: Tensor, storage: torch.dtype) -> Int8Weight:
    """Symmetric rounding of `[out, in]` with one scale a row, from the row's largest magnitude.

    The scale is first rounded to `storage`, the dtype in which it will be kept, so that the
    rounding of `q` makes up for it.
    """
    wide = weight.float()
    scale = (wide.abs().amax(dim=1) * (1 / 127)).clamp_(min=1e-12).to(storage)
    q = (wide / scale.float().unsqueeze(1)).round_().clamp_(-127, 127).to(torch.int8)
    return Int8Weight(q, scale)


def quantize_int4(weight: Tensor, group: int, storage: torch.dtype) -> Int4Weight:
    """Asymmetric rounding of `[out, in]` over the range of each group of `group` inputs.

    Scale and zero are first rounded to `storage`, the dtype in which they will be kept, so that
    the rounding of `q` makes up for theirs.
    """
    grouped = weight.float().view(weight.shape[0], -1, group)
    scale, zero = int4_range(grouped.amin(dim=-1), grouped.amax(dim=-1), storage)
    q = round_to_int4(grouped, scale, zero)
    return Int4Weight(q.to(torch.int32).flatten(1), scale, zero)


def int4_range(low: Tensor, high: Tensor, storage: torch.dtype) -> tuple[Tensor, Tensor]:
    """Scale and zero, fp32 but rounded to `storage`, of 0 … 15 from `low` to `high`."""
    scale = ((high - low) * (1 / 15)).clamp_(min=1e-8).to(storage).float()
    return scale, (low + 8.0 * scale).to(storage).float()


def round_to_int4(
    grouped: Tensor, scale: Tensor, zero: Tensor, out: Tensor | None = None
) -> Tensor:
    """The nearest of 0 … 15, in fp32, for each weight of `[..., group]`; in `out`, if given.

    `scale` and `zero` are fp32 `[...]`.
    """
    offset = torch.sub(grouped, zero.unsqueeze(-1), out=out)
    return offset.div_(scale.unsqueeze(-1)).round_().add_(8.0).clamp_(0, 15)


def quantize_fp8(weight: Tensor) -> Fp8Weight:
    """e4m3 of `[out, in]` with one scale a row, from the row's largest magnitude."""
    wide = weight.float()
    scale = (wide.abs().amax(dim=1) / E4M3_LARGEST).clamp_(min=1e-12)
    return Fp8Weight((wide / scale.unsqueeze(1)).to(torch.float8_e4m3fn), scale.unsqueeze(0))
