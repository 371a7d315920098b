"""Gumbel noise as a pure function of a key and a token id: the sampler's, on the device."""

import triton
import triton.language as tl


@triton.jit
def gumbel_noise(key, token, QUICK: tl.constexpr):
    """Standard Gumbel noise of int64 `key` and int32 tokens, from the reference's uniform exactly.

    The uniform is `(h + 0.5) / 2^23` with `h` the highest 23 bits of splitmix64 (Steele et al.
    2014) of `key + token · golden`. `QUICK` uses the device's own logarithm.
    """
    word = key.to(tl.uint64, bitcast=True) + token.to(tl.uint64) * 0x9E3779B97F4A7C15
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB
    word = word ^ (word >> 31)
    # A fraction's bits, of a number from 1 on: quicker than a conversion, and as exact.
    high = (word >> 41).to(tl.int32) | 0x3F800000
    uniform = high.to(tl.float32, bitcast=True) - (1.0 - 1.0 / (1 << 24))
    return -_log(-_log_of_uniform(uniform, QUICK), QUICK)


@triton.jit
def _log_of_uniform(uniform, QUICK: tl.constexpr):
    """Near 1, where the winners' noise comes from, the quick logarithm is off by as much as the
    logarithm itself: there a series in `1 - u`, which is exact in fp32."""
    if QUICK:
        gap = 1.0 - uniform
        series = -gap * (1.0 + gap * (0.5 + gap * (1 / 3 + gap * (0.25 + gap * 0.2))))
        return tl.where(gap < 0.0625, series, _log(uniform, QUICK))
    return _log(uniform, QUICK)


@triton.jit
def _log(x, QUICK: tl.constexpr):
    """The natural logarithm; the quick one (`lg2.approx`) is right to 2^-22, absolutely."""
    if QUICK:
        return tl.extra.cuda.libdevice.fast_logf(x)
    return tl.log(x)
