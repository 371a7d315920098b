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

from ..common.gpu_limits import gpu_limits, interpreted
from .thresholds import (
    DIGIT_VALUES,
    GREEDY_BELOW,
    MAX_PASSES,
    NO_MAX,
    image_bits,
    measure_rows,
    ordered_bits,
    passes,
    row_threshold,
)

_NO_OFFER = -(1 << 63)
BROKEN = tl.constexpr(-1)
"""The token of a row whose logits are no numbers: `BROKEN_LOGITS` of `serving/sampler.py`."""
BROKEN_OFFER = tl.constexpr((1 << 63) - 1)
"""More than any score offers: a logit was NaN or positive infinity."""
SCORE_SCALE = tl.constexpr(1.0 / (1 << 17))
"""Keeps every logit over every temperature in fp32's range; a power of two rounds nothing."""
LOWEST_SCORE = tl.constexpr(-0x7F800001)
"""What `ordered_bits` makes of negative infinity: no token had a score above."""


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """The settings of the rows of a batch, each `[rows]` on the device.

    fp32 `temperature` (below `GREEDY_BELOW`: the largest logit), fp32 `top_p` (1: all), int32
    `top_k` (0: all), and int64 `keys` of the noise.
    """

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    keys: Tensor


@dataclass(frozen=True, slots=True)
class SamplerScratch:
    """Memory between programs, for each row of a batch; `sample_tokens` resets what it used.

    The programs' best `offers` (int64 `[rows]`), how many have `arrived` (int32 `[rows]`), and what
    `measure_rows` writes: `maxima` and `measures`.
    """

    offers: Tensor
    arrived: Tensor
    maxima: Tensor
    measures: Tensor

    @classmethod
    def of(cls, rows: int, device: torch.device) -> "SamplerScratch":
        """Scratch for up to `rows` rows, as a launch expects it."""
        return cls(
            offers=torch.full((rows,), _NO_OFFER, dtype=torch.int64, device=device),
            arrived=torch.zeros(rows, dtype=torch.int32, device=device),
            maxima=torch.full((rows,), NO_MAX, dtype=torch.int32, device=device),
            measures=torch.zeros(
                (rows, 2 * MAX_PASSES * DIGIT_VALUES.value), dtype=torch.int64, device=device
            ),
        )


@dataclass(frozen=True, slots=True)
class HostTokens:
    """Where the host reads tokens: row `ring_row` (int32 `[1]`, on the device) of `tokens`.

    `tokens` int64 `[ring_rows, rows]` is pinned memory of the host, which a kernel can write to: a
    copy behind the kernel would hold up the step after it.
    """

    tokens: Tensor
    ring_row: Tensor


@triton.jit
def gumbel_noise(key, token, FAST_LOG: tl.constexpr):
    """Standard Gumbel noise of int64 `key` and int32 tokens, from the reference's uniform exactly.

    The uniform is `(h + 0.5) / 2^23` with `h` the highest 23 bits of splitmix64 (Steele et al.
    2014) of `key + token · golden`.
    """
    word = key.to(tl.uint64, bitcast=True) + token.to(tl.uint64) * 0x9E3779B97F4A7C15
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB
    word = word ^ (word >> 31)
    # A fraction's bits, of a number from 1 on: quicker than a conversion, and as exact.
    high = (word >> 41).to(tl.int32) | 0x3F800000
    uniform = high.to(tl.float32, bitcast=True) - (1.0 - 1.0 / (1 << 24))
    return -_log(-_log_of_uniform(uniform, FAST_LOG), FAST_LOG)


@triton.jit
def _log_of_uniform(uniform, FAST_LOG: tl.constexpr):
    """The logarithm, with a series in `1 - u`, which is exact in fp32, near 1.

    The winners' noise comes from there, where the fast logarithm is off by as much as the logarithm
    itself.
    """
    if FAST_LOG:
        gap = 1.0 - uniform
        series = -gap * (1.0 + gap * (0.5 + gap * (1 / 3 + gap * (0.25 + gap * 0.2))))
        return tl.where(gap < 0.0625, series, _log(uniform, FAST_LOG))
    return _log(uniform, FAST_LOG)


@triton.jit
def _log(x, FAST_LOG: tl.constexpr):
    """The natural logarithm; the GPU's fast one (`lg2.approx`) is right to 2^-22, absolutely."""
    if FAST_LOG:
        return tl.extra.cuda.libdevice.fast_logf(x)
    return tl.log(x)


@triton.jit(
    do_not_specialize=["temperature_ptr", "keys_ptr", "top_p_ptr", "top_k_ptr", "ring_row_ptr"]
)
def _sample_kernel(
    logits_ptr,
    temperature_ptr,
    keys_ptr,
    top_p_ptr,
    top_k_ptr,
    maxima_ptr,
    measures_ptr,
    offers_ptr,
    arrived_ptr,
    tokens_ptr,
    host_ptr,
    ring_row_ptr,
    host_stride,
    measures_stride,
    stride,
    vocabulary,
    chunk,
    FILTERED: tl.constexpr,
    FAST_LOG: tl.constexpr,
    BITS: tl.constexpr,
    PASSES: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    first = tl.program_id(1) * chunk
    end = tl.minimum(first + chunk, vocabulary)
    temperature = tl.load(temperature_ptr + row)
    key = tl.load(keys_ptr + row)
    least = 0
    if FILTERED:
        measures_ptr += row.to(tl.int64) * measures_stride
        top_p = tl.load(top_p_ptr + row)
        top_k = tl.load(top_k_ptr + row)
        least = row_threshold(
            measures_ptr, maxima_ptr + row, top_p, top_k, vocabulary, BITS, PASSES
        )
    drawn = temperature >= GREEDY_BELOW
    inverse_temperature = SCORE_SCALE / tl.where(drawn, temperature, 1.0)
    row_ptr = logits_ptr + row.to(tl.int64) * stride
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    choice = tl.zeros((BLOCK,), tl.int32)
    sound = tl.full((BLOCK,), 1, tl.int1)
    for start in range(first, end, BLOCK):
        token = start + tl.arange(0, BLOCK)
        score = tl.load(row_ptr + token, mask=token < end, other=float("-inf")).to(tl.float32)
        sound = sound & (score < float("inf"))
        if drawn:
            eligible = token < end
            if FILTERED:
                eligible = eligible & ((ordered_bits(score) >> (32 - BITS)) >= least)
            score = score * inverse_temperature + gumbel_noise(key, token, FAST_LOG) * SCORE_SCALE
            score = tl.where(eligible, score, float("-inf"))
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
            tl.store(maxima_ptr + row, -(1 << 31))
            place = tl.arange(0, 512)
            used = place < 2 * PASSES * DIGIT_VALUES
            tl.store(measures_ptr + place, tl.zeros((512,), tl.int64), mask=used)
        token = 0x7FFFFFFF - (winner & 0x7FFFFFFF)
        broken = (winner == BROKEN_OFFER) | ((winner >> 32) == LOWEST_SCORE)
        token = tl.where(broken, BROKEN, token)
        tl.store(tokens_ptr + row, token.to(tokens_ptr.dtype.element_ty))
        tl.store(host_ptr + tl.load(ring_row_ptr) * host_stride + row, token)


def sample_tokens(
    logits: Tensor,
    settings: SamplerSettings,
    scratch: SamplerScratch,
    out: Tensor,
    host: HostTokens,
    *,
    filtered: bool,
    splits: int | None = None,
) -> Tensor:
    """Write the next token of each row of `logits [rows, vocabulary]` to `out [rows]`, any integer.

    They are written to `host` as well. `filtered` says that some row may have a top-k or top-p:
    without it they are not looked at. Rows may be strided. `splits` overrides how many programs a
    row is split over. Nothing waits for the device. Returns `out`.
    """
    rows, vocabulary = logits.shape
    if filtered:
        measure_rows(
            logits,
            settings.temperature,
            settings.top_p,
            settings.top_k,
            scratch.maxima,
            scratch.measures,
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
        scratch.maxima,
        scratch.measures,
        scratch.offers,
        scratch.arrived,
        out,
        host.tokens,
        host.ring_row,
        host.tokens.stride(0),
        scratch.measures.stride(0),
        logits.stride(0),
        vocabulary,
        chunk,
        FILTERED=filtered,
        FAST_LOG=not interpreted(logits.device),
        BITS=image_bits(logits.dtype),
        PASSES=passes(logits.dtype),
        BLOCK=block,
        num_warps=4,
    )
    return out


def sample_splits(rows: int, vocabulary: int, block: int, processors: int) -> int:
    """Programs a row: in all a dozen for each multiprocessor."""
    wanted = triton.cdiv(processors * 12, rows)
    return int(max(1, min(wanted, triton.cdiv(vocabulary, block))))
