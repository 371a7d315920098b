"""Attention of a KV head's queries to tiles of keys, by tensor cores (`fragments`).

A tile is 16 keys of one warp; the warps' tiles follow each other, and then each warp's next. The 16
bytes that a thread loads of a key or a value are the fragment that the tensor cores take from it.
In the products for the scores the rows are keys and the columns heads: a thread has the scores of
keys `g` and `g + 8` for the heads `2t` and `2t + 1`. In those for the result the rows are the
values' dimensions and the columns the keys' weights, transposed between threads.

`origin` `[threads]` is always the token that a warp's first tile begins with. Statistics are pairs,
for the heads `2t` and `2t + 1`.
"""

import triton
import triton.language as tl

from ..common.fragments import halves, lane_place, load_quarters, multiply, paired, transposed
from .online_softmax import finite_max, softcap
from .paged_kv import token_slots


@triton.jit
def tile_words(
    kv, table, origin, end, TILES: tl.constexpr, BLOCK_TOKENS: tl.constexpr, TOKEN: tl.constexpr
):  # fmt: skip
    """Pointers to the first key of each tile, as far as these are before `end`.

    A block holds whole tiles: the other keys follow at a distance of `TOKEN` words.
    """
    words = ()
    for tile in tl.static_range(TILES):
        first = origin + tile * (origin.shape[0] // 2)
        slot = token_slots(table, first, first < end, BLOCK_TOKENS)
        words += (kv + slot * TOKEN,)  # type: ignore[assignment]  # it grows
    return words


@triton.jit
def load_keys(
    words, origin, start, end, HEAD_DIM: tl.constexpr, TOKEN: tl.constexpr, INLINE_PTX: tl.constexpr
):  # fmt: skip
    """Keys `g` and then `g + 8` of each tile, four words for each chunk of 32 dimensions.

    Zeros where a token is before `start` or not before `end`: what a block holds past the end
    belongs to another sequence, and may be NaN.
    """
    THREADS: tl.constexpr = origin.shape[0]
    _, g, t = lane_place(THREADS)
    keys = ()
    for index in tl.static_range(2 * len(words)):
        key = index % 2 * 8 + g
        token = origin + index // 2 * (THREADS // 2) + key
        seen = (token >= start) & (token < end)
        pointers = words[index // 2] + key * TOKEN + t * 4
        for chunk in tl.static_range(HEAD_DIM // 32):
            keys += load_quarters(pointers + chunk * 16, seen, INLINE_PTX)
    return keys


@triton.jit
def load_values(
    words, origin, start, end, HEAD_DIM: tl.constexpr, TOKEN: tl.constexpr, INLINE_PTX: tl.constexpr
):  # fmt: skip
    """Values `2t`, `2t + 1`, `2t + 8` and `2t + 9` of each tile, dimensions `64h + 8g` on.

    Four words for each run of 64 dimensions.
    """
    THREADS: tl.constexpr = origin.shape[0]
    _, g, t = lane_place(THREADS)
    values = ()
    for index in tl.static_range(4 * len(words)):
        key = t * 2 + index % 4 // 2 * 8 + index % 2
        token = origin + index // 4 * (THREADS // 2) + key
        seen = (token >= start) & (token < end)
        pointers = words[index // 4] + TOKEN // 2 + key * TOKEN + g * 4
        for run in tl.static_range(HEAD_DIM // 64):
            values += load_quarters(pointers + run * 32, seen, INLINE_PTX)
    return values


@triton.jit
def _part(words, FIRST: tl.constexpr, COUNT: tl.constexpr):
    """`COUNT` of the words from `FIRST` on."""
    part = ()
    for index in tl.static_range(COUNT):
        part += (words[FIRST + index],)  # type: ignore[assignment]  # it grows
    return part


@triton.jit
def _dot(low, high, q, INLINE_PTX: tl.constexpr):
    """Keys `g` and `g + 8` times queries, as `to_operand` has them: four parts of a product.

    The first and third of four words go into one product, the second and fourth into another: half
    of them then lie, as they were loaded, where the tensor cores want them. Two independent sums,
    since a product waits for the one whose result it adds to.
    """
    zero = tl.zeros((q[0].shape[0],), tl.float32)
    sums = ((zero, zero, zero, zero), (zero, zero, zero, zero))
    for four in tl.static_range(0, len(q), 4):
        for odd in tl.static_range(2):
            product = multiply(
                low[four + odd], high[four + odd], low[four + odd + 2], high[four + odd + 2],
                q[four + 2 * odd], q[four + 2 * odd + 1], sums[0], False, INLINE_PTX,
            )  # fmt: skip
            sums = (sums[1], product)
    return (
        sums[0][0] + sums[1][0],
        sums[0][1] + sums[1][1],
        sums[0][2] + sums[1][2],
        sums[0][3] + sums[1][3],
    )


@triton.jit
def key_scores(
    keys, q, origin, start, end, score_scale, cap, CAPPED: tl.constexpr, INLINE_PTX: tl.constexpr
):  # fmt: skip
    """The tiles' scores, four a tile; -inf of tokens not between `start` and `end`."""
    THREADS: tl.constexpr = origin.shape[0]
    COUNT: tl.constexpr = len(q)
    _, g, _ = lane_place(THREADS)
    scores = ()
    for tile in tl.static_range(len(keys) // (2 * COUNT)):
        low = _part(keys, tile * 2 * COUNT, COUNT)
        high = _part(keys, tile * 2 * COUNT + COUNT, COUNT)
        parts = _dot(low, high, q, INLINE_PTX)
        for index in tl.static_range(4):
            score = parts[index] * score_scale
            if CAPPED:
                score = softcap(score, cap)
            token = origin + tile * (THREADS // 2) + index // 2 * 8 + g
            seen = (token >= start) & (token < end)
            scores += (tl.where(seen, score, float("-inf")),)  # type: ignore[assignment]  # it grows
    return scores


@triton.jit
def by_column(x):
    """`[threads]` as `[warps, 8, 4]`: the column `t` comes last."""
    return tl.reshape(x, (x.shape[0] // 32, 8, 4))


@triton.jit
def _to_threads(x):
    """`[warps, 4]`, one value a column, to all threads of the column: `[threads]`."""
    spread = tl.broadcast_to(x[:, None, :], (x.shape[0], 8, 4))
    return tl.reshape(spread, (x.shape[0] * 32,))


@triton.jit
def score_maxima(scores):
    """The largest scores in a warp's tiles: a pair of `[warps, 4]`."""
    even = tl.maximum(scores[0], scores[2])
    odd = tl.maximum(scores[1], scores[3])
    for index in tl.static_range(1, len(scores) // 4):
        even = tl.maximum(even, tl.maximum(scores[4 * index], scores[4 * index + 2]))
        odd = tl.maximum(odd, tl.maximum(scores[4 * index + 1], scores[4 * index + 3]))
    return tl.max(by_column(even), 1), tl.max(by_column(odd), 1)


@triton.jit
def rescale(parts, maxima, new_maxima):
    """Rescale sums or accumulators, of even and odd heads in turn, to new maxima."""
    even = _to_threads(tl.exp2(maxima[0] - finite_max(new_maxima[0])))
    odd = _to_threads(tl.exp2(maxima[1] - finite_max(new_maxima[1])))
    scaled = ()
    for index in tl.static_range(len(parts) // 2):
        scaled += (parts[2 * index] * even, parts[2 * index + 1] * odd)  # type: ignore[assignment]  # it grows
    return scaled


@triton.jit
def key_weights(scores, maxima):
    """The softmax weights of keys, before normalization, from their scores."""
    anchors = (_to_threads(finite_max(maxima[0])), _to_threads(finite_max(maxima[1])))
    weights = ()
    for index in tl.static_range(len(scores)):
        weights += (tl.exp2(scores[index] - anchors[index % 2]),)  # type: ignore[assignment]  # it grows
    return weights


@triton.jit
def add_weights(sums, weights):
    """Add the tiles' weights to each thread's sums: a pair of `[threads]`."""
    even, odd = sums
    for index in tl.static_range(len(weights) // 2):
        even += weights[2 * index]
        odd += weights[2 * index + 1]
    return even, odd


@triton.jit
def add_values(acc, values, weights, INLINE_PTX: tl.constexpr):
    """Add the tiles' values times their keys' weights to `acc`, four parts of each product."""
    COUNT: tl.constexpr = len(acc) // 4
    for tile in tl.static_range(len(weights) // 4):
        b0 = transposed(
            paired(weights[4 * tile], weights[4 * tile + 1], False, INLINE_PTX), INLINE_PTX
        )
        b1 = transposed(
            paired(weights[4 * tile + 2], weights[4 * tile + 3], False, INLINE_PTX), INLINE_PTX
        )
        words = _part(values, tile * 4 * COUNT, 4 * COUNT)
        new_acc = ()
        for index in tl.static_range(COUNT):
            a0 = halves(words[index], words[COUNT + index], False, INLINE_PTX)
            a1 = halves(words[index], words[COUNT + index], True, INLINE_PTX)
            a2 = halves(words[2 * COUNT + index], words[3 * COUNT + index], False, INLINE_PTX)
            a3 = halves(words[2 * COUNT + index], words[3 * COUNT + index], True, INLINE_PTX)
            c = (acc[4 * index], acc[4 * index + 1], acc[4 * index + 2], acc[4 * index + 3])
            new_acc += multiply(a0, a1, a2, a3, b0, b1, c, False, INLINE_PTX)
        acc = new_acc
    return acc
