"""One row by a dense weight, without the tensor cores.

The row stays in registers, spread over the program's threads and normalized once; rows of the
weight stream past it, `BLOCK_N` at a time, 16 bytes a load, each thread multiplying what it holds
the inputs of. As many programs as the device holds run from start to end, each with its next
blocks on their way to registers, so that the stream never stops.
"""

import triton
import triton.language as tl

from ..common.dependent_launch import let_next_in, wait_for_previous
from .skinny_fusion import finish, weight_rows


@triton.jit
def _load_block(
    weight, first, end, features, inputs, ACTIVATION: tl.constexpr, EVEN: tl.constexpr,
    BLOCK_N: tl.constexpr, PIECES: tl.constexpr, PIECE: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """`[BLOCK_N, PIECES, PIECE]` weights of every chunk of the inputs, nothing from `end` on: that
    is another program's."""
    feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
    feature = tl.minimum(feature, features - 1).to(tl.int64)[:, None, None]
    piece = tl.arange(0, PIECES)[None, :, None]
    element = tl.arange(0, PIECE)[None, None, :]
    block = ()
    for chunk in tl.static_range(CHUNKS):
        position = (chunk * PIECES + piece) * PIECE + element
        mask = (first < end) & (position < inputs)
        if EVEN:
            mask = first < end
        block += (  # type: ignore[assignment]  # it grows
            tl.load(
                weight + feature * inputs + position,
                mask=mask,
                other=0,
                eviction_policy="evict_first",
            ),
        )
    return block


@triton.jit
def _block_sums(weights, row, BLOCK_N: tl.constexpr, PIECES: tl.constexpr, CHUNKS: tl.constexpr):
    """`[BLOCK_N, PIECES]`: what each piece of the weight's rows adds to their products."""
    total = tl.zeros((BLOCK_N, PIECES), tl.float32)
    for chunk in tl.static_range(CHUNKS):
        total += tl.sum(weights[chunk].to(tl.float32) * row[chunk][None, :, :], 2)
    return total


@triton.jit
def gemv_dense_kernel(
    x, gain, weight, bias, residual, out, features, inputs, eps, blocks_per_program,
    NORM: tl.constexpr, ACTIVATION: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr, EVEN: tl.constexpr, BLOCK_N: tl.constexpr, PIECES: tl.constexpr,
    CHUNKS: tl.constexpr, BLOCKS_AHEAD: tl.constexpr, NEXT_EARLY: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """`out [features]` from `x [inputs]` and `weight [features, inputs]`.

    A row of the weight is `CHUNKS` chunks of `PIECES` pieces of 16 bytes, what a thread loads at a
    time. EVEN: the chunks end with the inputs. A program takes `blocks_per_program` blocks of
    `BLOCK_N` features, `BLOCKS_AHEAD` of them on their way to registers. NEXT_EARLY lets the next
    kernel's programs in from the start.
    """
    PIECE: tl.constexpr = 128 // weight.dtype.element_ty.primitive_bitwidth
    span = blocks_per_program * BLOCK_N
    start = tl.program_id(0) * span
    end = tl.minimum(start + span, features)

    if NEXT_EARLY:
        let_next_in(PDL)
    blocks = ()
    for index in tl.static_range(BLOCKS_AHEAD):
        blocks += (  # type: ignore[assignment]  # it grows
            _load_block(
                weight, start + index * BLOCK_N, end, features, inputs, ACTIVATION, EVEN, BLOCK_N,
                PIECES, PIECE, CHUNKS,
            ),
        )  # fmt: skip
    wait_for_previous(PDL)

    row = ()
    squares = 0.0
    for chunk in tl.static_range(CHUNKS):
        element = tl.arange(0, PIECES)[:, None] * PIECE + tl.arange(0, PIECE)[None, :]
        position = element + chunk * PIECES * PIECE
        inside = position < inputs
        value = tl.load(x + position, mask=inside, other=0.0).to(tl.float32)
        if NORM:
            squares += tl.sum(tl.sum(value * value, 1), 0)
            value *= tl.load(gain + position, mask=inside, other=0.0).to(tl.float32)
        row += (value,)  # type: ignore[assignment]  # it grows
    factor = 1.0
    if NORM:
        factor = tl.rsqrt(squares / inputs + eps)

    for block_start in tl.range(start, end, BLOCKS_AHEAD * BLOCK_N):
        following = ()
        for index in tl.static_range(BLOCKS_AHEAD):
            first = block_start + index * BLOCK_N
            y = tl.sum(_block_sums(blocks[index], row, BLOCK_N, PIECES, CHUNKS), 1) * factor
            # No row is stored of another program's block.
            finish(
                y[:, None], first, features, (first < end).to(tl.int32), bias, residual, out, 0, 0,
                ACTIVATION, HAS_BIAS, HAS_RESIDUAL, BLOCK_N, 1,
            )  # fmt: skip
            following += (  # type: ignore[assignment]  # it grows
                _load_block(
                    weight, first + BLOCKS_AHEAD * BLOCK_N, end, features, inputs, ACTIVATION, EVEN,
                    BLOCK_N, PIECES, PIECE, CHUNKS,
                ),
            )  # fmt: skip
        blocks = following
