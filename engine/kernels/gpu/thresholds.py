"""The logit down to which top-k and top-p keep a row's tokens, without a sort.

Both ask for the largest threshold at which the tokens at or above it still measure enough: `k` of
them, or the share `p` of the probability that top-k left. The measure falls as the threshold rises,
so the threshold is found bit by bit in the integers that order as the logits do: a pass over the
row a bit, 16 of them for bf16. Equal logits stay or go together.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .dependent_launch import launch_options, wait_for_previous
from .order import ordered_bits

_IMAGE_BITS = {torch.float32: 32, torch.float16: 19, torch.bfloat16: 16}
"""Bits of a logit's fp32 image that its own dtype can set."""


@triton.jit
def _measure(
    row_ptr, vocabulary, least, top, inverse_temperature, MASS: tl.constexpr, BITS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The number of logits whose image is at least `least`, or their weight relative to `top`."""
    sums = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, vocabulary, BLOCK):
        columns = first + tl.arange(0, BLOCK)
        inside = columns < vocabulary
        x = tl.load(row_ptr + columns, mask=inside, other=float("-inf")).to(tl.float32)
        kept = inside & ((ordered_bits(x) >> (32 - BITS)) >= least)
        if MASS:
            sums += tl.where(kept, tl.exp((x - top) * inverse_temperature), 0.0)
        else:
            sums += tl.where(kept, 1.0, 0.0)
    return tl.sum(sums, axis=0)


@triton.jit
def _largest_threshold(
    row_ptr, vocabulary, target, floor, top, inverse_temperature, MASS: tl.constexpr,
    BITS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The largest image down to which the row's logits, none below `floor`, measure `target`."""
    lowest = tl.full((), -(1 << (BITS - 1)), tl.int64)
    found = lowest
    for step in range(BITS):
        candidate = found + (tl.full((), 1, tl.int64) << (BITS - 1 - step))
        least = tl.maximum(candidate, floor).to(tl.int32)
        measure = _measure(row_ptr, vocabulary, least, top, inverse_temperature, MASS, BITS, BLOCK)
        found = tl.where(measure >= target, candidate, found)
    return found


@triton.jit
def _threshold_kernel(
    logits_ptr,
    temperature_ptr,
    top_p_ptr,
    top_k_ptr,
    threshold_ptr,
    stride,
    vocabulary,
    BITS: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(0)
    temperature = tl.load(temperature_ptr + row)
    top_p = tl.load(top_p_ptr + row)
    top_k = tl.load(top_k_ptr + row)
    wait_for_previous(PDL)
    by_count = (top_k > 0) & (top_k < vocabulary)
    by_mass = top_p < 1.0
    lowest = tl.full((), -(1 << (BITS - 1)), tl.int64)
    threshold = lowest
    if (temperature > 0.0) & (by_count | by_mass):
        row_ptr = logits_ptr + row.to(tl.int64) * stride
        tops = tl.full((BLOCK,), float("-inf"), tl.float32)
        for first in range(0, vocabulary, BLOCK):
            columns = first + tl.arange(0, BLOCK)
            x = tl.load(row_ptr + columns, mask=columns < vocabulary, other=float("-inf"))
            tops = tl.maximum(tops, x.to(tl.float32))
        top = tl.max(tops, axis=0)
        inverse_temperature = 1.0 / temperature
        if by_count:
            threshold = _largest_threshold(
                row_ptr, vocabulary, top_k.to(tl.float32), lowest, top, inverse_temperature,
                False, BITS, BLOCK,
            )  # fmt: skip
        if by_mass:
            kept = _measure(
                row_ptr, vocabulary, threshold.to(tl.int32), top, inverse_temperature,
                True, BITS, BLOCK,
            )  # fmt: skip
            by_p = _largest_threshold(
                row_ptr, vocabulary, top_p * kept, threshold, top, inverse_temperature,
                True, BITS, BLOCK,
            )  # fmt: skip
            # The largest logit stays whatever the share.
            most = (ordered_bits(top) >> (32 - BITS)).to(tl.int64)
            threshold = tl.maximum(threshold, tl.minimum(by_p, most))
    tl.store(threshold_ptr + row, threshold.to(tl.int32))


def find_thresholds(
    logits: Tensor,
    temperature: Tensor,
    top_p: Tensor,
    top_k: Tensor,
    out: Tensor,
    *,
    pdl: bool = False,
) -> None:
    """Write to `out` int32 `[rows]` the smallest image of a logit that each row keeps.

    The images are the highest bits of `ordered_bits` that the dtype of `logits [rows, vocabulary]`
    can set. `temperature` and `top_p` are fp32 `[rows]`, `top_k` int32 `[rows]`; a `top_k` of 0 and
    a `top_p` of 1 filter nothing, and rows of neither filter or of temperature 0 are passed over.
    """
    rows, vocabulary = logits.shape
    _threshold_kernel[(rows,)](
        logits,
        temperature,
        top_p,
        top_k,
        out,
        logits.stride(0),
        vocabulary,
        BITS=_IMAGE_BITS[logits.dtype],
        BLOCK=min(8192, triton.next_power_of_2(vocabulary)),
        PDL=pdl,
        num_warps=16,
        **launch_options(pdl),
    )


def image_bits(dtype: torch.dtype) -> int:
    """Bits of the images of logits of `dtype`."""
    return _IMAGE_BITS[dtype]
