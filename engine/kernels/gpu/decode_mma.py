"""The fused decode step of few sequences: keys and values straight from memory to tensor cores.

With few sequences a program's own latency counts. So each warp has tiles of 16 keys of its own, for
all query heads of a KV head, and no warp waits for another before the keys are done. The 16 bytes
that a thread loads of a key or a value are what the tensor cores want of it (`fragments`): keys are
the rows of a product and heads its columns; then the values' dimensions are the rows, and the
weights of the keys, transposed between threads, the columns. The first keys and values are asked
for before the kernel before has finished: what earlier steps stored does not depend on it.

The new token is not in the cache yet: it is what the first share's warp 0 starts with.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import triton
import triton.language as tl
from torch import Tensor

from .across_warps import of_all_warps, summed_heads
from .decode_kernel import _combine
from .dependent_launch import launch_options, wait_for_previous
from .fragments import (
    halves,
    lane_place,
    multiply,
    of_quarters,
    paired,
    quarters,
    transposed,
    unpaired,
)
from .paging import token_slots
from .rotary import PLAIN, RotaryOptions
from .softmax import LOG2_E, capped
from .turned_heads import load_dimensions, load_head, store_head, turned


@triton.jit
def _tile_words(kv, table, first, inside, BLOCK_TOKENS: tl.constexpr, TOKEN: tl.constexpr):
    """Pointers to the key of tile's first token, `first` `[threads]`, if it is `inside` the table.

    A block holds whole tiles: the others follow at a distance of `TOKEN` words.
    """
    return kv + token_slots(table, first, inside, BLOCK_TOKENS) * TOKEN


@triton.jit
def _load_keys(
    words, first, start, end, HEAD_DIM: tl.constexpr, TOKEN: tl.constexpr, THREADS: tl.constexpr
):  # fmt: skip
    """Keys `g` and then `g + 8` of a tile, `[threads, 4]` for each chunk of 32 dimensions.

    Zeros where a token is before `start` or not before `end`: what a block holds past the end is a
    stranger's, and may be NaN.
    """
    _, g, t = lane_place(THREADS)
    keys = ()
    for half in tl.static_range(2):
        token = first + half * 8 + g
        seen = (token >= start) & (token < end)
        pointers = words + (half * 8 + g) * TOKEN + t * 4
        for chunk in tl.static_range(HEAD_DIM // 32):
            keys += (  # type: ignore[assignment]  # it grows
                tl.load(
                    (pointers + chunk * 16)[:, None] + tl.arange(0, 4)[None, :],
                    mask=seen[:, None],
                    other=0,
                ),
            )
    return keys


@triton.jit
def _load_values(
    words, first, start, end, HEAD_DIM: tl.constexpr, TOKEN: tl.constexpr, THREADS: tl.constexpr
):  # fmt: skip
    """Values `2t`, `2t + 1`, `2t + 8` and `2t + 9` of a tile, dimensions `64h + 8g` on.

    `[threads, 4]` for each run of 64 dimensions.
    """
    _, g, t = lane_place(THREADS)
    values = ()
    for index in tl.static_range(4):
        key = t * 2 + index // 2 * 8 + index % 2
        token = first + key
        seen = (token >= start) & (token < end)
        pointers = words + TOKEN // 2 + key * TOKEN + g * 4
        for run in tl.static_range(HEAD_DIM // 64):
            values += (  # type: ignore[assignment]  # it grows
                tl.load(
                    (pointers + run * 32)[:, None] + tl.arange(0, 4)[None, :],
                    mask=seen[:, None],
                    other=0,
                ),
            )
    return values


@triton.jit
def _dot(low, high, q, FAST: tl.constexpr):
    """Scores of 16 keys: of key `g` the heads `2t` and `2t + 1`, and of key `g + 8`.

    In two sums, since a product waits for the one whose result it adds to.
    """
    zero = tl.zeros((q[0].shape[0],), tl.float32)
    every = tl.full((q[0].shape[0],), -1, tl.int32)
    sums = ((zero, zero, zero, zero), (zero, zero, zero, zero))
    for step in tl.static_range(len(q) // 2):
        sums = (
            sums[1],
            multiply(
                low[2 * step], high[2 * step], low[2 * step + 1], high[2 * step + 1],
                q[2 * step], q[2 * step + 1], every, sums[0], False, FAST,
            ),
        )  # fmt: skip
    return (
        sums[0][0] + sums[1][0],
        sums[0][1] + sums[1][1],
        sums[0][2] + sums[1][2],
        sums[0][3] + sums[1][3],
    )


@triton.jit
def _words_of(loaded, FIRST: tl.constexpr, COUNT: tl.constexpr):
    """`COUNT` of what `_load_keys` or `_load_values` returned, word by word."""
    words = ()
    for index in tl.static_range(COUNT):
        words += quarters(loaded[FIRST + index])
    return words


@triton.jit
def _over_warp(x):
    """The largest of each column, `t`, of a warp, to all of its threads."""
    THREADS: tl.constexpr = x.shape[0]
    each = tl.reshape(x, (THREADS // 32, 8, 4))
    largest = tl.broadcast_to(tl.max(each, 1, keep_dims=True), (THREADS // 32, 8, 4))
    return tl.reshape(largest, (THREADS,))


@triton.jit
def _scores(keys, q, first, start, end, score_scale, cap, CAPPED: tl.constexpr, FAST: tl.constexpr):
    """A tile's scores, as `_dot` has them; -inf where a token is not between `start` and `end`."""
    _, g, _ = lane_place(q[0].shape[0])
    CHUNKS: tl.constexpr = len(keys) // 2
    parts = _dot(_words_of(keys, 0, CHUNKS), _words_of(keys, CHUNKS, CHUNKS), q, FAST)
    scores = ()
    for index in tl.static_range(4):
        score = parts[index] * score_scale
        if CAPPED:
            score = capped(score, cap)
        token = first + index // 2 * 8 + g
        seen = (token >= start) & (token < end)
        scores += (tl.where(seen, score, float("-inf")),)  # type: ignore[assignment]  # it grows
    return scores


@triton.jit
def _anchored(top):
    """`top`, but 0 where no key was seen: -inf less -inf would be NaN."""
    return tl.where(top == float("-inf"), 0.0, top)


@triton.jit
def _new_tops(tops, scores):
    """The largest scores of heads `2t` and `2t + 1` that a warp has seen, with those of tiles."""
    even = tl.maximum(scores[0], scores[2])
    odd = tl.maximum(scores[1], scores[3])
    for index in tl.static_range(1, len(scores) // 4):
        even = tl.maximum(even, tl.maximum(scores[4 * index], scores[4 * index + 2]))
        odd = tl.maximum(odd, tl.maximum(scores[4 * index + 1], scores[4 * index + 3]))
    return tl.maximum(tops[0], _over_warp(even)), tl.maximum(tops[1], _over_warp(odd))


@triton.jit
def _shrunk(acc, tops, anchors):
    """`acc` in terms of the new `anchors`."""
    even = tl.exp2(tops[0] - anchors[0])
    odd = tl.exp2(tops[1] - anchors[1])
    scaled = ()
    for index in tl.static_range(len(acc) // 2):
        scaled += (acc[2 * index] * even, acc[2 * index + 1] * odd)  # type: ignore[assignment]  # it grows
    return scaled


@triton.jit
def _add_values(acc, values, scores, FIRST: tl.constexpr, anchors, FAST: tl.constexpr):
    """`acc` and a tile's values by the weights of its keys, whose scores are from `FIRST` on.

    Of `acc` four are a product's result. The last is the weights' sum: the product with ones.
    """
    THREADS: tl.constexpr = anchors[0].shape[0]
    QUARTER: tl.constexpr = len(values)
    every = tl.full((THREADS,), -1, tl.int32)
    ones = tl.full((THREADS,), 0x3F803F80, tl.int32)
    weights = ()
    for index in tl.static_range(4):
        weights += (tl.exp2(scores[FIRST + index] - anchors[index % 2]),)  # type: ignore[assignment]  # it grows
    b0 = transposed(paired(weights[0], weights[1], False, FAST), FAST)  # type: ignore[misc]  # it grew
    b1 = transposed(paired(weights[2], weights[3], False, FAST), FAST)  # type: ignore[misc]  # it grew
    words = _words_of(values, 0, QUARTER)
    following = ()
    for index in tl.static_range(len(acc) // 4):
        c = (acc[4 * index], acc[4 * index + 1], acc[4 * index + 2], acc[4 * index + 3])
        if index < QUARTER:
            a0 = halves(words[index], words[QUARTER + index], False, FAST)
            a1 = halves(words[index], words[QUARTER + index], True, FAST)
            a2 = halves(words[2 * QUARTER + index], words[3 * QUARTER + index], False, FAST)
            a3 = halves(words[2 * QUARTER + index], words[3 * QUARTER + index], True, FAST)
            following += multiply(a0, a1, a2, a3, b0, b1, every, c, False, FAST)
        else:
            following += multiply(ones, ones, ones, ones, b0, b1, every, c, False, FAST)
    return following


@triton.jit
def _start(new_v, products, score_scale, cap, taken, CAPPED: tl.constexpr):
    """The new token alone where it is `taken`, and no key elsewhere: `acc`, and scores or -inf.

    `new_v` are words of dimensions `64h + 8g` on, `products` those of queries and the new key.
    """
    acc = ()
    for index in tl.static_range(len(new_v)):
        low, high = unpaired(tl.where(taken, new_v[index], 0), False)
        acc += (low, low, high, high)  # type: ignore[assignment]  # it grows
    one = tl.where(taken, 1.0, 0.0)
    acc += (one, one, one, one)  # type: ignore[assignment]  # it grows
    tops = ()
    for index in tl.static_range(2):
        score = products[index] * score_scale
        if CAPPED:
            score = capped(score, cap)
        tops += (tl.where(taken, score, float("-inf")),)  # type: ignore[assignment]  # it grows
    return acc, tops


@triton.jit
def _normalized(acc, tops, anchors, totals):
    """A warp's part of the result, but for the last of `acc`."""
    even = tl.exp2(tops[0] - anchors[0]) / tl.where(totals[0] > 0.0, totals[0], 1.0)
    odd = tl.exp2(tops[1] - anchors[1]) / tl.where(totals[1] > 0.0, totals[1], 1.0)
    parts = ()
    for index in tl.static_range(len(acc) // 2 - 2):
        parts += (acc[2 * index] * even, acc[2 * index + 1] * odd)  # type: ignore[assignment]  # it grows
    return parts


@triton.jit(do_not_specialize=["table_ptr", "lens_ptr", "slots_ptr", "table_stride", "table_width"])
def decode_mma_kernel(
    qkv_ptr,
    kv_ptr,
    table_ptr,
    lens_ptr,
    out_ptr,
    partial_ptr,
    lse_ptr,
    arrived_ptr,
    slots_ptr,
    cos_ptr,
    sin_ptr,
    q_norm_ptr,
    k_norm_ptr,
    qkv_stride,
    table_stride,
    out_stride,
    table_width,
    eps,
    score_scale,
    cap,
    SPLITS: tl.constexpr,
    SHARE: tl.constexpr,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    NORM: tl.constexpr,
    FAST: tl.constexpr,
    WARPS: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_G: tl.constexpr,
    AT_ONCE: tl.constexpr,
    PDL: tl.constexpr,
):
    """A program of `(kv_head, sequence, split)`: every `active`-th step from the `split`-th on.

    In a step each of `WARPS` has `TILES` tiles of 16 keys. `qkv`, `kv` and norms as in
    `decode_kernel`, `qkv` and `kv` in words of two bf16; so is `qkv_stride`.
    """
    THREADS: tl.constexpr = 32 * WARPS
    WORDS: tl.constexpr = HEAD_DIM // 2
    TOKEN: tl.constexpr = 2 * KV_HEADS * WORDS
    RUNS: tl.constexpr = HEAD_DIM // 64
    STEP: tl.constexpr = TILES * WARPS * 16
    kv_head = tl.program_id(0)
    sequence = tl.program_id(1)
    split = tl.program_id(2)
    warp, g, t = lane_place(THREADS)
    table = table_ptr + sequence.to(tl.int64) * table_stride
    kv = kv_ptr + kv_head * WORDS
    seq_len = tl.load(lens_ptr + sequence)
    new_slot = tl.load(slots_ptr + sequence).to(tl.int64)
    cached = tl.maximum(seq_len - 1, 0)
    start = 0
    aligned = 0
    if WINDOW > 0:
        start = tl.maximum(seq_len - WINDOW, 0)
        aligned = start // 16 * 16
    # Without a window, this does not wait for the length.
    own = aligned + split * STEP + warp * 16
    words = ()
    for tile in tl.static_range(TILES):
        first = own + tile * (WARPS * 16)
        inside = first < table_width * BLOCK_TOKENS
        words += (_tile_words(kv, table, first, inside, BLOCK_TOKENS, TOKEN),)  # type: ignore[assignment]  # it grows
    active = tl.minimum(tl.cdiv(cached - aligned, SHARE), SPLITS)
    # A padding row has no keys; its first program writes zeros.
    active = tl.maximum(active, 1)
    if split >= active:
        return

    keys = ()
    values = ()
    for tile in tl.static_range(TILES):
        first = own + tile * (WARPS * 16)
        keys += (_load_keys(words[tile], first, start, cached, HEAD_DIM, TOKEN, THREADS),)  # type: ignore[assignment]  # it grows
    for tile in tl.static_range(TILES):
        first = own + tile * (WARPS * 16)
        values += (_load_values(words[tile], first, start, cached, HEAD_DIM, TOKEN, THREADS),)  # type: ignore[assignment]  # it grows
    HALF: tl.constexpr = HEAD_DIM // 2
    cos = load_dimensions(cos_ptr + cached * HALF, HALF, THREADS)
    sin = load_dimensions(sin_ptr + cached * HALF, HALF, THREADS)
    q_norm = ()
    k_norm = ()
    if NORM:
        q_norm = load_dimensions(q_norm_ptr, HEAD_DIM, THREADS)
        k_norm = load_dimensions(k_norm_ptr, HEAD_DIM, THREADS)
    wait_for_previous(PDL)

    row = qkv_ptr + sequence.to(tl.int64) * qkv_stride
    new = row + (KV_HEADS * GROUP + kv_head) * WORDS
    q = load_head(row + (kv_head * GROUP + g) * WORDS, g < GROUP, HEAD_DIM)
    new_k = load_head(new + g * 0, g < 8, HEAD_DIM)
    new_v = ()
    for run in tl.static_range(RUNS):
        pointers = new + KV_HEADS * WORDS + run * 32 + g * 4
        new_v += quarters(tl.load(pointers[:, None] + tl.arange(0, 4)[None, :]))
    q = turned(q, cos, sin, q_norm, eps, HEAD_DIM, NORM, FAST)
    new_k = turned(new_k, cos, sin, k_norm, eps, HEAD_DIM, NORM, FAST)
    taken = (warp == 0) & (split == 0) & (seq_len > 0)
    acc, tops = _start(new_v, _dot(new_k, new_k, q, FAST), score_scale, cap, taken, CAPPED)

    stored = taken & (new_slot >= 0)
    new = kv + new_slot * TOKEN
    store_head(new + g * 0, new_k, stored & (g == 0))
    for run in tl.static_range(RUNS):
        pointers = new + KV_HEADS * WORDS + run * 32 + g * 4
        tl.store(
            pointers[:, None] + tl.arange(0, 4)[None, :],
            of_quarters(new_v[4 * run], new_v[4 * run + 1], new_v[4 * run + 2], new_v[4 * run + 3]),
            mask=(stored & (t == 0))[:, None],
        )

    steps = tl.cdiv(cached - aligned - split * STEP, active * STEP)
    for _ in tl.range(1, steps):
        following = own + active * STEP
        words = ()
        for tile in tl.static_range(TILES):
            first = following + tile * (WARPS * 16)
            words += (_tile_words(kv, table, first, first < cached, BLOCK_TOKENS, TOKEN),)  # type: ignore[assignment]  # it grows
        scores = ()
        following_keys = ()
        for tile in tl.static_range(TILES):
            first = own + tile * (WARPS * 16)
            scores += _scores(keys[tile], q, first, start, cached, score_scale, cap, CAPPED, FAST)
            first = following + tile * (WARPS * 16)
            following_keys += (  # type: ignore[assignment]  # it grows
                _load_keys(words[tile], first, start, cached, HEAD_DIM, TOKEN, THREADS),
            )
        new_tops = _new_tops(tops, scores)
        anchors = (_anchored(new_tops[0]), _anchored(new_tops[1]))
        acc = _shrunk(acc, tops, anchors)
        following_values = ()
        for tile in tl.static_range(TILES):
            acc = _add_values(acc, values[tile], scores, 4 * tile, anchors, FAST)
            first = following + tile * (WARPS * 16)
            following_values += (  # type: ignore[assignment]  # it grows
                _load_values(words[tile], first, start, cached, HEAD_DIM, TOKEN, THREADS),
            )
        tops = new_tops
        own = following
        keys = following_keys
        values = following_values
    scores = ()
    for tile in tl.static_range(TILES):
        first = own + tile * (WARPS * 16)
        scores += _scores(keys[tile], q, first, start, cached, score_scale, cap, CAPPED, FAST)
    new_tops = _new_tops(tops, scores)
    anchors = (_anchored(new_tops[0]), _anchored(new_tops[1]))
    acc = _shrunk(acc, tops, anchors)
    for tile in tl.static_range(TILES):
        acc = _add_values(acc, values[tile], scores, 4 * tile, anchors, FAST)

    SUMS: tl.constexpr = HEAD_DIM // 4
    anchors, totals = of_all_warps(new_tops, (acc[SUMS], acc[SUMS + 1]))
    merged = summed_heads(_normalized(acc, new_tops, anchors, totals))
    element = tl.arange(0, 8 * HEAD_DIM)
    real = element < GROUP * HEAD_DIM
    out_ptr += sequence.to(tl.int64) * out_stride + kv_head * GROUP * HEAD_DIM
    if active == 1:
        tl.store(out_ptr + element, merged.to(out_ptr.dtype.element_ty), mask=real)
        return
    if SPLITS > 1:
        pair = (sequence * KV_HEADS + kv_head).to(tl.int64)
        partial_ptr += pair * SPLITS * GROUP * HEAD_DIM
        lse_ptr += pair * SPLITS * GROUP
        tl.store(partial_ptr + split * GROUP * HEAD_DIM + element, merged, mask=real)
        for odd in tl.static_range(2):
            head = 2 * t + odd
            lse = anchors[odd] + tl.log2(totals[odd])
            chosen = (warp == 0) & (g == 0) & (head < GROUP)
            tl.store(lse_ptr + split * GROUP + head, lse, mask=chosen)
        # All threads' stores come before the count goes up.
        tl.debug_barrier()
        before = tl.atomic_add(arrived_ptr + pair, 1, sem="acq_rel")
        if before == active - 1:
            tl.store(arrived_ptr + pair, 0)
            group = tl.arange(0, BLOCK_G)
            column = tl.arange(0, HEAD_DIM)
            in_group = group < GROUP
            _combine(
                partial_ptr, lse_ptr, out_ptr, active, in_group,
                in_group[:, None] & (column < HEAD_DIM)[None, :],
                group[:, None] * HEAD_DIM + column[None, :], SPLITS, GROUP, HEAD_DIM, BLOCK_G,
                AT_ONCE,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class MmaTile:
    """How a program of `decode_mma` works: warps, tiles of 16 keys that each has on its way, and
    the fewest keys of a share, which is no less than all warps' tiles.
    """

    warps: int
    tiles: int
    share: int

    def __post_init__(self) -> None:
        if self.share < self.warps * self.tiles * 16:
            raise ValueError(f"a share of {self.share} keys is less than the warps' tiles")


class Scratch(Protocol):
    """Shares and the memory in which they are combined: those of a `DecodePlan`."""

    @property
    def splits(self) -> int: ...
    @property
    def partials(self) -> Tensor: ...
    @property
    def lse(self) -> Tensor: ...
    @property
    def arrived(self) -> Tensor: ...


def takes(qkv: Tensor, kv_blocks: Tensor, cos: Tensor) -> bool:
    """Whether `decode_mma` has a kernel for these, which are as its own arguments."""
    _, block_tokens, _, kv_heads, head_dim = kv_blocks.shape
    group = qkv.shape[1] // head_dim // kv_heads - 2
    return (
        qkv.dtype is torch.bfloat16
        and kv_blocks.dtype is torch.bfloat16
        and head_dim in (64, 128, 256)
        and 2 * cos.shape[1] == head_dim
        and group <= 8
        and block_tokens % 16 == 0
        and qkv.stride(0) % 8 == 0
    )


def decode_mma(
    qkv: Tensor,
    kv_blocks: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    slots: Tensor,
    cos: Tensor,
    sin: Tensor,
    scratch: Scratch,
    tile: MmaTile,
    scale: float,
    *,
    options: RotaryOptions = PLAIN,
    window: int = 0,
    softcap: float = 0.0,
    out: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """What `decode_attention_fused` does, of arguments that `takes` says yes to."""
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    heads = qkv.shape[1] // head_dim - 2 * kv_heads
    group = heads // kv_heads
    if out is None:
        out = torch.empty((qkv.shape[0], heads * head_dim), dtype=qkv.dtype, device=qkv.device)
    block_g = triton.next_power_of_2(group)
    decode_mma_kernel[(kv_heads, qkv.shape[0], scratch.splits)](
        qkv.view(torch.int32),
        kv_blocks.view(torch.int32),
        block_table,
        seq_lens,
        out,
        scratch.partials,
        scratch.lse,
        scratch.arrived,
        slots,
        cos,
        sin,
        cos if options.q_norm is None else options.q_norm,
        cos if options.k_norm is None else options.k_norm,
        qkv.stride(0) // 2,
        block_table.stride(0),
        out.stride(0),
        block_table.shape[1],
        options.eps,
        scale * LOG2_E,
        softcap * LOG2_E,
        SPLITS=scratch.splits,
        SHARE=tile.share,
        GROUP=group,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        BLOCK_TOKENS=kv_blocks.shape[1],
        WINDOW=window,
        CAPPED=softcap > 0,
        NORM=options.q_norm is not None,
        FAST=qkv.is_cuda,
        WARPS=tile.warps,
        TILES=tile.tiles,
        BLOCK_G=block_g,
        AT_ONCE=min(scratch.splits, max(1, 64 * 32 * tile.warps // (block_g * head_dim))),
        PDL=pdl,
        num_warps=tile.warps,
        **launch_options(pdl),
    )
    return out
