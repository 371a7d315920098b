"""The next token of each row, chosen on the device.

Adds Gumbel noise to the scaled logits and takes the largest (the Gumbel-max trick; Gumbel 1954), as
`serving/sampler.py` does, with the same noise. A row is split over programs, each of which offers
its best as one integer, score before token, so that an atomic maximum settles the row.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.dependent_launch import launch_options, wait_for_previous
from ..common.gpu_limits import gpu_limits, interpreted
from .noise import gumbel_noise
from .order import ordered_bits
from .thresholds import (
    DIGITS,
    MOST_PASSES,
    NO_TOP,
    image_bits,
    measure_rows,
    passes,
    row_threshold,
)

_NO_OFFER = -(1 << 63)
BROKEN = tl.constexpr(-1)
"""The token of a row whose logits are no numbers: `BROKEN_LOGITS` of `serving/sampler.py`."""
BROKEN_OFFER = tl.constexpr((1 << 63) - 1)
"""More than any score offers: a logit was NaN or positive infinity."""
LOWEST_SCORE = tl.constexpr(-0x7F800001)
"""What `ordered_bits` makes of negative infinity: no token had a score above."""


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """The settings of the rows of a batch, each `[rows]` on the device.

    fp32 `temperature` (0: the largest logit), fp32 `top_p` (1: all), int32 `top_k` (0: all), and
    int64 `keys` of the noise.
    """

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    keys: Tensor


@dataclass(frozen=True, slots=True)
class SamplerScratch:
    """Memory between programs, a row for each of a batch's; `sample_tokens` leaves it as found."""

    offers: Tensor
    arrived: Tensor
    tops: Tensor
    measures: Tensor

    @classmethod
    def of(cls, rows: int, device: torch.device) -> "SamplerScratch":
        return cls(
            offers=torch.full((rows,), _NO_OFFER, dtype=torch.int64, device=device),
            arrived=torch.zeros(rows, dtype=torch.int32, device=device),
            tops=torch.full((rows,), NO_TOP, dtype=torch.int32, device=device),
            measures=torch.zeros(
                (rows, 2 * MOST_PASSES * DIGITS.value), dtype=torch.int64, device=device
            ),
        )


@dataclass(frozen=True, slots=True)
class Home:
    """Where the host reads tokens: row `turn` (int32 `[1]`, on the device) of `tokens`.

    `tokens` int64 `[turns, rows]` is pinned memory of the host, which a kernel can write to: a copy
    behind the kernel would hold up the step after it.
    """

    tokens: Tensor
    turn: Tensor


@triton.jit(do_not_specialize=["temperature_ptr", "keys_ptr", "top_p_ptr", "top_k_ptr", "turn_ptr"])
def _sample_kernel(
    logits_ptr,
    temperature_ptr,
    keys_ptr,
    top_p_ptr,
    top_k_ptr,
    tops_ptr,
    measures_ptr,
    offers_ptr,
    arrived_ptr,
    tokens_ptr,
    home_ptr,
    turn_ptr,
    home_stride,
    measures_stride,
    stride,
    vocabulary,
    chunk,
    FILTERED: tl.constexpr,
    QUICK: tl.constexpr,
    HOME: tl.constexpr,
    BITS: tl.constexpr,
    PASSES: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(0)
    first = tl.program_id(1) * chunk
    end = tl.minimum(first + chunk, vocabulary)
    temperature = tl.load(temperature_ptr + row)
    key = tl.load(keys_ptr + row)
    wait_for_previous(PDL)
    least = 0
    if FILTERED:
        measures_ptr += row.to(tl.int64) * measures_stride
        top_p = tl.load(top_p_ptr + row)
        top_k = tl.load(top_k_ptr + row)
        least = row_threshold(measures_ptr, tops_ptr + row, top_p, top_k, vocabulary, BITS, PASSES)
    drawn = temperature > 0.0
    inverse_temperature = 1.0 / tl.where(drawn, temperature, 1.0)
    row_ptr = logits_ptr + row.to(tl.int64) * stride
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    choice = tl.zeros((BLOCK,), tl.int32)
    sound = tl.full((BLOCK,), 1, tl.int1)
    for start in range(first, end, BLOCK):
        token = start + tl.arange(0, BLOCK)
        score = tl.load(row_ptr + token, mask=token < end, other=float("-inf")).to(tl.float32)
        sound = sound & (score < float("inf"))
        if drawn:
            kept = token < end
            if FILTERED:
                kept = kept & ((ordered_bits(score) >> (32 - BITS)) >= least)
            score = score * inverse_temperature + gumbel_noise(key, token, QUICK)
            score = tl.where(kept, score, float("-inf"))
        better = score > best
        choice = tl.where(better, token, choice)
        best = tl.where(better, score, best)
    # Of equal scores the first token wins: the lower the token, the larger the integer.
    offer = (ordered_bits(best).to(tl.int64) << 32) | (0x7FFFFFFF - choice).to(tl.int64)
    offer = tl.where(sound, offer, BROKEN_OFFER)
    tl.atomic_max(offers_ptr + row, tl.max(offer, axis=0), sem="relaxed")
    before = tl.atomic_add(arrived_ptr + row, 1, sem="acq_rel")
    if before == tl.num_programs(1) - 1:
        winner = tl.atomic_xchg(offers_ptr + row, -(1 << 63), sem="relaxed")
        tl.store(arrived_ptr + row, 0)
        if FILTERED:
            tl.store(tops_ptr + row, -(1 << 31))
            place = tl.arange(0, 512)
            tl.store(
                measures_ptr + place, tl.zeros((512,), tl.int64), mask=place < 2 * PASSES * DIGITS
            )
        token = 0x7FFFFFFF - (winner & 0x7FFFFFFF)
        broken = (winner == BROKEN_OFFER) | ((winner >> 32) == LOWEST_SCORE)
        token = tl.where(broken, BROKEN, token)
        tl.store(tokens_ptr + row, token.to(tokens_ptr.dtype.element_ty))
        if HOME:
            tl.store(home_ptr + tl.load(turn_ptr) * home_stride + row, token)


def sample_tokens(
    logits: Tensor,
    settings: SamplerSettings,
    scratch: SamplerScratch,
    out: Tensor,
    *,
    filtered: bool,
    splits: int | None = None,
    home: Home | None = None,
    quick: bool | None = None,
    pdl: bool = False,
) -> Tensor:
    """Write the next token of each row of `logits [rows, vocabulary]` to `out [rows]`, any integer.

    With `home` they are written there as well. `filtered` says that some row may have a top-k or
    top-p: without it they are not looked at. `quick` takes the device's own logarithm for the noise
    (left out: on a GPU). Rows may be strided. Nothing waits for the device. Returns `out`.
    """
    rows, vocabulary = logits.shape
    if filtered:
        measure_rows(
            logits,
            settings.temperature,
            settings.top_p,
            settings.top_k,
            scratch.tops,
            scratch.measures,
            pdl=pdl,
        )
    block = min(1024, triton.next_power_of_2(vocabulary))
    if splits is None:
        processors = gpu_limits(logits.device).multiprocessors
        splits = sample_splits(rows, vocabulary, block, processors)
    chunk = triton.cdiv(triton.cdiv(vocabulary, splits), block) * block
    _sample_kernel[(rows, triton.cdiv(vocabulary, chunk))](
        logits,
        settings.temperature,
        settings.keys,
        settings.top_p,
        settings.top_k,
        scratch.tops,
        scratch.measures,
        scratch.offers,
        scratch.arrived,
        out,
        out if home is None else home.tokens,
        scratch.arrived if home is None else home.turn,
        0 if home is None else home.tokens.stride(0),
        scratch.measures.stride(0),
        logits.stride(0),
        vocabulary,
        chunk,
        FILTERED=filtered,
        QUICK=not interpreted(logits.device) if quick is None else quick,
        HOME=home is not None,
        BITS=image_bits(logits.dtype),
        PASSES=passes(logits.dtype),
        BLOCK=block,
        PDL=pdl,
        num_warps=4,
        **launch_options(pdl),
    )
    return out


def sample_splits(rows: int, vocabulary: int, block: int, processors: int) -> int:
    """Programs a row: in all a dozen for each multiprocessor."""
    wanted = triton.cdiv(processors * 12, rows)
    return int(max(1, min(wanted, triton.cdiv(vocabulary, block))))
