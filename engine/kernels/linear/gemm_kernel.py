"""One matrix product for every weight format: `out = x Wᵀ · scale + bias + residual`.

The weight is the left operand: its tile goes from shared memory to registers, where packed values
become bf16, and from there into the tensor cores (wgmma with A from registers); the activations are
the right operand, from shared memory. So up to 64 rows of activations fill the tensor cores as well
as 64 × 256 ones do, and weights, which are the traffic at few rows, are read once.

With BULK both tiles come by descriptors (`tile_descriptors`): the device's copy engine brings them
and puts zeros past the ends. Otherwise each thread copies what its own pointers say.

Few output features leave processors idle, so the inputs may be split: every part writes its sum,
and the part that comes last adds them up, in their order. The result does not depend on timing.
"""

import triton
import triton.language as tl

from ..common.dependent_launch import let_next_in, wait_for_previous
from .unpack import unpack_int4, unpack_int8

BLOCK_K: tl.constexpr = tl.constexpr(128)


@triton.jit
def _load_inputs(x, offsets, row_inside, first, inputs, EVEN: tl.constexpr):
    """`[BLOCK_K, rows]` of the activations from input `first` on, zeros past the ends.

    Rows past the end must not be read in the last one's place: lines that all programs read time
    and again are slow.
    """
    if EVEN:
        return tl.load(x + offsets + first, mask=row_inside[None, :], other=0.0)
    inside = first + tl.arange(0, BLOCK_K)[:, None] < inputs
    return tl.load(x + offsets + first, mask=row_inside[None, :] & inside, other=0.0)


@triton.jit
def _load_words(pointers, first, inputs, MASKED: tl.constexpr):
    """`[features, words]` of the block whose first input is `first`.

    Packed weights fill their last block. Others do not: past the last input x is zero, and any
    weight will do there, so long as it is finite.
    """
    if MASKED:
        inside = first + tl.arange(0, BLOCK_K)[None, :] < inputs
        return tl.load(pointers, mask=inside, other=0.0)
    return tl.load(pointers)


@triton.jit
def _int8_tile(words, dtype: tl.constexpr, INLINE_PTX: tl.constexpr):
    """`[features, BLOCK_K]` weights: what is joined is already where the tensor cores want it."""
    w0, w1 = unpack_int8(words, dtype, INLINE_PTX)
    return tl.join(w0, w1).permute(0, 2, 1).reshape(words.shape[0], BLOCK_K)


@triton.jit
def _int4_tile(
    words, grid, first, features, GROUP: tl.constexpr, dtype: tl.constexpr, INLINE_PTX: tl.constexpr
):
    """`[features, BLOCK_K]` weights; `grid` points at each feature's scale and zero of group 0."""
    PLANE: tl.constexpr = BLOCK_K // 4
    grid0 = tl.load(grid + first // GROUP * features)
    grid1 = grid0
    grid2 = grid0
    if GROUP < 64:
        grid1 = tl.load(grid + (first + PLANE) // GROUP * features)
    if GROUP < 128:
        grid2 = tl.load(grid + (first + 2 * PLANE) // GROUP * features)
    grid3 = grid2
    if GROUP < 64:
        grid3 = tl.load(grid + (first + 3 * PLANE) // GROUP * features)
    w0, w1, w2, w3 = unpack_int4(
        words, grid0[:, None], grid1[:, None], grid2[:, None], grid3[:, None], dtype, INLINE_PTX
    )
    planes = tl.join(tl.join(w0, w2), tl.join(w1, w3))
    return planes.permute(0, 2, 3, 1).reshape(words.shape[0], BLOCK_K)


@triton.jit(do_not_specialize=["rows", "splits", "blocks_per_split", "has_bias", "has_residual"])
def gemm_kernel(
    x, weight, grid, scale, row_scale, bias, residual, out, partials, arrivals, rows, features,
    inputs, x_stride, out_stride, splits, blocks_per_split, has_bias, has_residual,
    FORMAT: tl.constexpr, GROUP: tl.constexpr, EVEN: tl.constexpr, INLINE_PTX: tl.constexpr,
    BULK: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """One tile of `out [rows, features]` over one part of the inputs.

    `x [rows, inputs]` and `weight` in FORMAT are pointers, or with BULK descriptors, of which that
    of an int4 weight has a row for each block and feature. `grid [groups, features]` has the int4
    scales and zeros; `scale [features]` and, for fp8, `row_scale [rows]` multiply the product.
    `partials` holds `[splits, tiles, BLOCK_M, BLOCK_N]`, `arrivals` one zero a tile, and zero again
    after.
    """
    row_tiles = tl.cdiv(rows, BLOCK_M)
    tile, split = tl.program_id(0), tl.program_id(1)
    first_row, first_feature = tile % row_tiles * BLOCK_M, tile // row_tiles * BLOCK_N

    row = first_row + tl.arange(0, BLOCK_M)
    feature = first_feature + tl.arange(0, BLOCK_N)
    row_inside = row < rows
    # Past the end the last feature is read again, and not stored.
    feature_read = tl.minimum(feature, features - 1)
    blocks = tl.cdiv(inputs, BLOCK_K)
    first_block = split * blocks_per_split
    last_block = tl.minimum(first_block + blocks_per_split, blocks)

    PLANES: tl.constexpr = 4 if FORMAT == "int4" else (2 if FORMAT == "int8" else 1)
    PLANE: tl.constexpr = BLOCK_K // PLANES  # as many words as a plane has inputs
    if FORMAT == "int4":  # block-major: the rows of a block lie together
        weight_stride = PLANE
        block_stride = features.to(tl.int64) * PLANE
        row_step, column_step = features, 0
    else:
        weight_stride = blocks * PLANE if FORMAT == "int8" else inputs
        block_stride = PLANE
        row_step, column_step = 0, PLANE
    word_offsets = feature_read[:, None].to(tl.int64) * weight_stride + tl.arange(0, PLANE)[None, :]
    x_offsets = row[None, :] * x_stride + tl.arange(0, BLOCK_K)[:, None]

    total = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    # int4 leaves the processors to its own programs until their products are done: 3 % of a step of
    # 64 rows. The others lose by it.
    LATE: tl.constexpr = FORMAT == "int4"
    wait_for_previous(PDL, not LATE)
    for block in tl.range(first_block, last_block, num_stages=STAGES):
        first = block * BLOCK_K
        if BULK:
            x_tile = x.load([first_row, first]).T
            # At int4 a tile's rows past the last feature are of the next block, and not stored.
            words = weight.load([first_feature + block * row_step, block * column_step])
        else:
            x_tile = _load_inputs(x, x_offsets, row_inside, first, inputs, EVEN)
            pointers = weight + word_offsets + block * block_stride
            words = _load_words(pointers, first, inputs, PLANES == 1 and not EVEN)
        if FORMAT == "int4":
            grids = grid + feature_read
            w = _int4_tile(words, grids, first, features, GROUP, x_tile.dtype, INLINE_PTX)
        elif FORMAT == "int8":
            w = _int8_tile(words, x_tile.dtype, INLINE_PTX)
        else:
            w = words
        total = tl.dot(w, x_tile, total)
    if LATE:
        let_next_in(PDL)

    tiles = tl.num_programs(0)
    complete = True
    if splits > 1:
        part = tl.arange(0, BLOCK_M)[None, :] * BLOCK_N + tl.arange(0, BLOCK_N)[:, None]
        part += tile * (BLOCK_M * BLOCK_N)
        tl.store(partials + split * tiles * (BLOCK_M * BLOCK_N) + part, total)
        # All of this program's stores come before its arrival.
        tl.debug_barrier()
        complete = tl.atomic_add(arrivals + tile, 1, sem="acq_rel") == splits - 1
        if complete:
            tl.store(arrivals + tile, 0)
            total = tl.load(partials + part, cache_modifier=".cg")
            for other in range(1, splits):
                parts = partials + other * tiles * (BLOCK_M * BLOCK_N)
                total += tl.load(parts + part, cache_modifier=".cg")

    if complete:
        if FORMAT == "int8" or FORMAT == "fp8":
            total *= tl.load(scale + feature_read).to(tl.float32)[:, None]
        if FORMAT == "fp8":
            total *= tl.load(row_scale + row, mask=row_inside, other=0.0)[None, :]
        if has_bias:
            total += tl.load(bias + feature_read).to(tl.float32)[:, None]
        stored = row_inside[None, :] & (feature < features)[:, None]
        offsets = row.to(tl.int64)[None, :] * out_stride + feature[:, None]
        if has_residual:
            total += tl.load(residual + offsets, mask=stored, other=0.0).to(tl.float32)
        tl.store(out + offsets, total.to(out.dtype.element_ty), mask=stored)
