"""Heads of a projection's row, normed and turned, as the tensor cores want them (`fragments`).

Thread `t` of the four that share a head holds of each chunk of 32 dimensions the eight from `8t`
on, in four words. What the rotation pairs, dimensions half a head apart, so lies in one thread.
"""

import triton
import triton.language as tl

from .fragments import lane_place, of_quarters, paired, quarters, unpaired


@triton.jit
def load_head(words, keep, HEAD_DIM: tl.constexpr):
    """The head at `words` `[threads]` of pointers to int32, a tuple of `[threads]`; zeros unless
    `keep`."""
    _, _, t = lane_place(words.shape[0])
    head = ()
    for chunk in tl.static_range(HEAD_DIM // 32):
        pointers = (words + chunk * 16 + t * 4)[:, None] + tl.arange(0, 4)[None, :]
        head += quarters(tl.load(pointers, mask=keep[:, None], other=0))
    return head


@triton.jit
def store_head(words, head, keep):
    """Store a `head` that is as `load_head` returns it."""
    _, _, t = lane_place(words.shape[0])
    for chunk in tl.static_range(len(head) // 4):
        pointers = (words + chunk * 16 + t * 4)[:, None] + tl.arange(0, 4)[None, :]
        values = of_quarters(
            head[4 * chunk], head[4 * chunk + 1], head[4 * chunk + 2], head[4 * chunk + 3]
        )
        tl.store(pointers, values, mask=keep[:, None])


@triton.jit
def load_dimensions(values, COUNT: tl.constexpr, THREADS: tl.constexpr):
    """A thread's of the first `COUNT` dimensions, in fp32: norm weights, cosines or sines."""
    _, _, t = lane_place(THREADS)
    own = ()
    for index in tl.static_range(COUNT // 16):
        offset = index // 2 * 32 + t * 8 + index % 2 * 4
        loaded = quarters(tl.load(values + offset[:, None] + tl.arange(0, 4)[None, :]))
        for each in tl.static_range(4):
            own += (loaded[each].to(tl.float32),)  # type: ignore[assignment]  # it grows
    return own


@triton.jit
def turned(
    head, cos, sin, weights, eps, HEAD_DIM: tl.constexpr, NORM: tl.constexpr, FAST: tl.constexpr
):
    """`head`, with NORM through RMSNorm with `weights` first, turned and rounded."""
    PAIRS: tl.constexpr = HEAD_DIM // 16
    THREADS: tl.constexpr = head[0].shape[0]
    inverse = tl.full((THREADS,), 1.0, tl.float32)
    if NORM:
        square = tl.zeros((THREADS,), tl.float32)
        for index in tl.static_range(2 * PAIRS):
            low, high = unpaired(head[index], False)
            square += low * low + high * high
        # Of the four threads that share the head.
        each = tl.reshape(square, (THREADS // 4, 4))
        total = tl.broadcast_to(tl.sum(each, 1, keep_dims=True), (THREADS // 4, 4))
        inverse = tl.rsqrt(tl.reshape(total, (THREADS,)) / HEAD_DIM + eps)
    first_half = ()
    second_half = ()
    for index in tl.static_range(PAIRS):
        x, next_x = unpaired(head[index], False)
        y, next_y = unpaired(head[PAIRS + index], False)
        if NORM:
            x *= inverse * weights[2 * index]
            next_x *= inverse * weights[2 * index + 1]
            y *= inverse * weights[2 * PAIRS + 2 * index]
            next_y *= inverse * weights[2 * PAIRS + 2 * index + 1]
        c, next_c = cos[2 * index], cos[2 * index + 1]
        s, next_s = sin[2 * index], sin[2 * index + 1]
        first_half += (  # type: ignore[assignment]  # it grows
            paired(x * c - y * s, next_x * next_c - next_y * next_s, False, FAST),
        )
        second_half += (  # type: ignore[assignment]  # it grows
            paired(y * c + x * s, next_y * next_c + next_x * next_s, False, FAST),
        )
    return first_half + second_half
