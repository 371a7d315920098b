"""Scores in units of log 2, so that the softmax needs exp2 alone."""

import triton
import triton.language as tl

LOG2_E = 1.4426950408889634


@triton.jit
def capped(scores, cap):
    """`cap · tanh(scores / cap)` (Gemma 2), scores and cap both in units of log 2."""
    # tanh(x) = 1 - 2 / (e^2x + 1), and e^2x = 2^(x · 2 / ln 2).
    return cap - 2.0 * cap / (tl.exp2(2.8853900817779268 * scores / cap) + 1.0)
