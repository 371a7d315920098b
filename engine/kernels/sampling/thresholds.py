"""The logit down to which top-k and top-p keep a row's tokens, without a sort.

Both ask for the largest threshold at which the tokens at or above it still measure enough: `k` of
them, or the part `p` of the probability that top-k left. The measure falls as the threshold rises,
so the threshold is found digit by digit in the logits' images, integers that order as they do: a
pass over the row for each digit of three bits, in which a row's programs add up the measure at each
value the digit may have. Sums are integers, so that their order changes nothing. Equal logits stay
or go together.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_IMAGE_BITS = {torch.float32: 32, torch.float16: 19, torch.bfloat16: 16}
"""Bits of a logit's fp32 image that its own dtype can set."""

_STAGES = 3
"""Tiles of a row in flight."""
MAX_PASSES = 11
"""Digits of the longest image, that of fp32."""
DIGIT_VALUES = tl.constexpr(16)
"""Measures of a pass: one for each value of its digit, at most."""
NO_MAX = -(1 << 31)
"""Below the image of any logit."""
GREEDY_BELOW = tl.constexpr(1e-5)
"""Temperatures below it take the largest logit: `GREEDY_BELOW` of `serving/request.py`."""
MASS_UNIT = tl.constexpr(float(1 << 40))
"""What the weight of a row's largest logit counts as."""


@triton.jit
def ordered_bits(x):
    """int32 images of fp32 `x`: `a < b` exactly where image(a) < image(b); -0 and 0 are equal."""
    bits = (x + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@triton.jit
def float_of_bits(image):
    """The fp32 whose `ordered_bits` is `image`."""
    return tl.where(image < 0, image ^ 0x7FFFFFFF, image).to(tl.float32, bitcast=True)


@triton.jit
def _search(measures_ptr, target, places, BITS: tl.constexpr, PASSES: tl.constexpr):
    """The largest image whose first `places` digits still measure `target`; int64."""
    image = tl.full((), -(1 << (BITS - 1)), tl.int64)
    digit = tl.arange(0, DIGIT_VALUES)
    for place in tl.static_range(PASSES):
        # Three bits a digit; what is left over, up to four, for the first.
        values = tl.full((), 1 << (BITS - 3 * (PASSES - 1) if place == 0 else 3), tl.int32)
        possible = (digit > 0) & (digit < values) & (place < places)
        measures = tl.load(measures_ptr + place * DIGIT_VALUES + digit).to(tl.float64)
        reached = tl.sum((possible & (measures >= target)).to(tl.int64), axis=0)
        image += reached << (3 * (PASSES - 1 - place))
    return image


@triton.jit
def _top_k_threshold(
    measures_ptr, top_k, vocabulary, places, BITS: tl.constexpr, PASSES: tl.constexpr
):  # fmt: skip
    """The first `places` digits of the threshold of top-k; the least image where there is none."""
    threshold = tl.full((), -(1 << (BITS - 1)), tl.int64)
    if (top_k > 0) & (top_k < vocabulary):
        threshold = _search(measures_ptr, top_k.to(tl.float64), places, BITS, PASSES)
    return threshold


@triton.jit
def _top_p_threshold(measures_ptr, top_p, places, BITS: tl.constexpr, PASSES: tl.constexpr):
    """The first `places` digits of the threshold of top-p."""
    # At its least value the first digit leaves all that top-k left.
    mass = tl.load(measures_ptr).to(tl.float64)
    return _search(measures_ptr, top_p.to(tl.float64) * mass, places, BITS, PASSES)


@triton.jit
def row_threshold(
    measures_ptr, max_ptr, top_p, top_k, vocabulary, BITS: tl.constexpr, PASSES: tl.constexpr
):
    """int32: the smallest image that a row keeps, from the measures of all passes."""
    threshold = _top_k_threshold(measures_ptr, top_k, vocabulary, PASSES, BITS, PASSES)
    if top_p < 1.0:
        by_p = _top_p_threshold(measures_ptr + PASSES * DIGIT_VALUES, top_p, PASSES, BITS, PASSES)
        # The largest logit always stays.
        largest = (tl.load(max_ptr) >> (32 - BITS)).to(tl.int64)
        threshold = tl.maximum(threshold, tl.minimum(by_p, largest))
    return threshold.to(tl.int32)


@triton.jit(do_not_specialize=["temperature_ptr", "top_p_ptr"])
def _max_kernel(
    logits_ptr,
    temperature_ptr,
    top_p_ptr,
    maxima_ptr,
    stride,
    vocabulary,
    chunk,
    BLOCK: tl.constexpr,
):
    """The image of each row's largest logit, where its mass will be measured."""
    row = tl.program_id(0)
    first = tl.program_id(1) * chunk
    end = tl.minimum(first + chunk, vocabulary)
    filtered = (tl.load(temperature_ptr + row) >= GREEDY_BELOW) & (tl.load(top_p_ptr + row) < 1.0)
    if not filtered:
        return
    row_ptr = logits_ptr + row.to(tl.int64) * stride
    largest = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(first, end, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x = tl.load(row_ptr + column, mask=column < end, other=float("-inf")).to(tl.float32)
        largest = tl.maximum(largest, x)
    tl.atomic_max(maxima_ptr + row, tl.max(ordered_bits(largest), axis=0), sem="relaxed")


@triton.jit(do_not_specialize=["temperature_ptr", "top_p_ptr", "top_k_ptr", "place"])
def _measure_kernel(
    logits_ptr,
    temperature_ptr,
    top_p_ptr,
    top_k_ptr,
    maxima_ptr,
    measures_ptr,
    measures_stride,
    stride,
    vocabulary,
    chunk,
    place,
    MASS: tl.constexpr,
    FIRST: tl.constexpr,
    BITS: tl.constexpr,
    PASSES: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Add up what a row's chunk measures at each value of the digit at `place`."""
    row = tl.program_id(0)
    first = tl.program_id(1) * chunk
    end = tl.minimum(first + chunk, vocabulary)
    temperature = tl.load(temperature_ptr + row)
    top_p = tl.load(top_p_ptr + row)
    top_k = tl.load(top_k_ptr + row)
    asked = (top_p < 1.0) if MASS else ((top_k > 0) & (top_k < vocabulary))
    if (temperature < GREEDY_BELOW) | (not asked):
        return
    measures_ptr += row.to(tl.int64) * measures_stride
    floor = tl.full((), -(1 << (BITS - 1)), tl.int64)
    if MASS:
        floor = _top_k_threshold(measures_ptr, top_k, vocabulary, PASSES, BITS, PASSES)
        measures_ptr += PASSES * DIGIT_VALUES
        threshold = _top_p_threshold(measures_ptr, top_p, place, BITS, PASSES)
        largest = float_of_bits(tl.load(maxima_ptr + row))
    else:
        threshold = _top_k_threshold(measures_ptr, top_k, vocabulary, place, BITS, PASSES)
    inverse_temperature = 1.0 / temperature

    row_ptr = logits_ptr + row.to(tl.int64) * stride
    # The least value is measured once, for what top-k left.
    LEAST: tl.constexpr = 0 if MASS and FIRST else 1
    VALUES: tl.constexpr = 1 << (BITS - 3 * (PASSES - 1) if FIRST else 3)
    step = tl.full((), 1, tl.int64) << (3 * (PASSES - 1 - place))
    sums = (tl.zeros((BLOCK,), tl.float32),) * (VALUES - LEAST)
    for start in tl.range(first, end, BLOCK, num_stages=STAGES):
        column = start + tl.arange(0, BLOCK)
        inside = column < end
        x = tl.load(row_ptr + column, mask=inside, other=float("-inf")).to(tl.float32)
        image = ordered_bits(x) >> (32 - BITS)
        if MASS:
            weight = tl.where(inside, tl.exp((x - largest) * inverse_temperature), 0.0)
        else:
            weight = tl.where(inside, 1.0, 0.0)
        added = sums[:0]
        for value in tl.static_range(LEAST, VALUES):
            least = tl.maximum(threshold + value * step, floor).to(tl.int32)
            eligible = tl.where(image >= least, weight, 0.0)
            added += (sums[value - LEAST] + eligible,)
        sums = added
    for value in tl.static_range(LEAST, VALUES):
        measure = tl.sum(sums[value - LEAST], axis=0)
        if MASS:
            # Broken logits weigh NaN.
            measure = tl.where(measure == measure, measure * MASS_UNIT, 0.0)
        tl.atomic_add(
            measures_ptr + place * DIGIT_VALUES + value, measure.to(tl.int64), sem="relaxed"
        )


def image_bits(dtype: torch.dtype) -> int:
    """Bits of the images of logits of `dtype`: fp32, fp16 or bf16."""
    return _IMAGE_BITS[dtype]


def passes(dtype: torch.dtype) -> int:
    """Digits of those images, each of which takes a pass over the row."""
    return (_IMAGE_BITS[dtype] + 1) // 3


def measure_rows(
    logits: Tensor,
    temperature: Tensor,
    top_p: Tensor,
    top_k: Tensor,
    maxima: Tensor,
    measures: Tensor,
) -> None:
    """Write what `row_threshold` reads, for the rows of `logits [rows, vocabulary]`.

    `temperature` and `top_p` are fp32 `[rows]`, `top_k` int32 `[rows]`; a `top_k` of 0 and a
    `top_p` of 1 filter nothing, and rows of neither filter or that are greedy are passed over.
    `maxima` int32 `[rows]` must be `NO_MAX`, and `measures` int64 `[rows, 2 · MAX_PASSES · 16]`
    zero. Raises KeyError for logits of another dtype than fp32, fp16 or bf16.
    """
    rows, vocabulary = logits.shape
    bits, digits = _IMAGE_BITS[logits.dtype], passes(logits.dtype)
    block = min(2048, triton.next_power_of_2(vocabulary))
    chunk = triton.cdiv(triton.cdiv(vocabulary, max(1, 528 // rows)), block) * block
    grid = (rows, triton.cdiv(vocabulary, chunk))
    _max_kernel[grid](
        logits, temperature, top_p, maxima, logits.stride(0), vocabulary, chunk,
        BLOCK=block, num_warps=8,
    )  # fmt: skip
    for mass in (False, True):
        for place in range(digits):
            _measure_kernel[grid](
                logits,
                temperature,
                top_p,
                top_k,
                maxima,
                measures,
                measures.stride(0),
                logits.stride(0),
                vocabulary,
                chunk,
                place,
                MASS=mass,
                FIRST=place == 0,
                BITS=bits,
                PASSES=digits,
                BLOCK=min(block, 1024) if place == 0 else block,
                STAGES=_STAGES,
                num_warps=8,
            )
