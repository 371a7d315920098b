"""One matrix product for every weight format: `out = x Wᵀ · scale + bias + residual`.

The weight is the left operand: its tile goes from shared memory to registers, where packed values
become bf16, and from there into the tensor cores (wgmma with A from registers); the activations are
the right operand, from shared memory. So up to 64 rows of activations fill the tensor cores as well
as 64 × 256 ones do, and weights, which are the traffic at few rows, are read once.

Few output features leave processors idle, so the inputs may be split: every part writes its sum,
and the part that comes last adds them up, in their order. The result does not depend on timing.
"""

import triton
import triton.language as tl

from .dependent_launch import wait_for_previous
from .unpack import unpack_int4, unpack_int8

BLOCK_K: tl.constexpr = tl.constexpr(128)


@triton.jit
def _load_inputs(x, offsets, first, inputs, EVEN: tl.constexpr, SIZE: tl.constexpr):
    """`[SIZE, rows]` of the activations from input `first` on, zeros past the last one."""
    if EVEN:
        return tl.load(x + offsets + first)
    mask = first + tl.arange(0, SIZE)[:, None] < inputs
    return tl.load(x + offsets + first, mask=mask, other=0.0)


@triton.jit(do_not_specialize=["rows", "splits", "blocks_per_split", "has_bias", "has_residual"])
def gemm_kernel(
    x,
    weight,
    grid,
    scale,
    row_scale,
    bias,
    residual,
    out,
    partials,
    arrivals,
    rows,
    features,
    inputs,
    x_stride,
    out_stride,
    splits,
    blocks_per_split,
    has_bias,
    has_residual,
    FORMAT: tl.constexpr,
    GROUP: tl.constexpr,
    EVEN: tl.constexpr,
    FAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    """One tile of `out [rows, features]` over one part of the inputs.

    `x [rows, inputs]`; `weight` in FORMAT; `grid [groups, features]` the int4 scales
    and zeros; `scale [features]` and, for fp8, `row_scale [rows]` multiply the product. `partials`
    holds `[splits, tiles, BLOCK_M, BLOCK_N]`, `arrivals` one zero a tile, and zero again after.
    """
    row_tiles = tl.cdiv(rows, BLOCK_M)
    tile, split = tl.program_id(0), tl.program_id(1)
    first_row, first_feature = tile % row_tiles * BLOCK_M, tile // row_tiles * BLOCK_N

    row = first_row + tl.arange(0, BLOCK_M)
    feature = first_feature + tl.arange(0, BLOCK_N)
    # Past the ends the last one is read again, and not stored: no masks in the loop.
    row_read = tl.minimum(row, rows - 1)
    feature_read = tl.minimum(feature, features - 1)
    blocks = tl.cdiv(inputs, BLOCK_K)
    first_block = split * blocks_per_split
    last_block = tl.minimum(first_block + blocks_per_split, blocks)

    PLANES: tl.constexpr = 4 if FORMAT == "int4" else (2 if FORMAT == "int8" else 1)
    PLANE: tl.constexpr = BLOCK_K // PLANES  # as many words as a plane has inputs
    if FORMAT == "int4":  # block-major: the rows of a block lie together
        weight_stride = PLANE
        block_stride = features.to(tl.int64) * PLANE
    else:
        weight_stride = blocks * PLANE if FORMAT == "int8" else inputs
        block_stride = PLANE
    word_offsets = feature_read[:, None].to(tl.int64) * weight_stride + tl.arange(0, PLANE)[None, :]
    x_offsets = row_read[None, :] * x_stride + tl.arange(0, PLANE)[:, None]
    dtype = x.dtype.element_ty

    total = tl.zeros((BLOCK_N, BLOCK_M), tl.float32)
    wait_for_previous(PDL)
    for block in tl.range(first_block, last_block, num_stages=STAGES):
        first = block * BLOCK_K
        if FORMAT == "int4":
            words = tl.load(weight + word_offsets + block * block_stride)
            grid0 = tl.load(grid + first // GROUP * features + feature_read)
            grid1 = tl.load(grid + (first + PLANE) // GROUP * features + feature_read)
            grid2 = tl.load(grid + (first + 2 * PLANE) // GROUP * features + feature_read)
            grid3 = tl.load(grid + (first + 3 * PLANE) // GROUP * features + feature_read)
            x0 = _load_inputs(x, x_offsets, first, inputs, EVEN, PLANE)
            x1 = _load_inputs(x, x_offsets, first + PLANE, inputs, EVEN, PLANE)
            x2 = _load_inputs(x, x_offsets, first + 2 * PLANE, inputs, EVEN, PLANE)
            x3 = _load_inputs(x, x_offsets, first + 3 * PLANE, inputs, EVEN, PLANE)
            w0, w1, w2, w3 = unpack_int4(
                words, grid0[:, None], grid1[:, None], grid2[:, None], grid3[:, None], dtype, FAST
            )
            total = tl.dot(w0, x0, total)
            total = tl.dot(w1, x1, total)
            total = tl.dot(w2, x2, total)
            total = tl.dot(w3, x3, total)
        elif FORMAT == "int8":
            words = tl.load(weight + word_offsets + block * block_stride)
            x0 = _load_inputs(x, x_offsets, first, inputs, EVEN, PLANE)
            x1 = _load_inputs(x, x_offsets, first + PLANE, inputs, EVEN, PLANE)
            w0, w1 = unpack_int8(words, dtype, FAST)
            total = tl.dot(w0, x0, total)
            total = tl.dot(w1, x1, total)
        else:
            # Past the last input x is zero: any weight will do there, so long as it is finite.
            if EVEN:
                values = tl.load(weight + word_offsets + block * block_stride)
            else:
                inside = first + tl.arange(0, PLANE)[None, :] < inputs
                values = tl.load(
                    weight + word_offsets + block * block_stride, mask=inside, other=0.0
                )
            x0 = _load_inputs(x, x_offsets, first, inputs, EVEN, PLANE)
            total = tl.dot(values, x0, total)

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
            total *= tl.load(row_scale + row_read)[None, :]
        if has_bias:
            total += tl.load(bias + feature_read).to(tl.float32)[:, None]
        stored = (row < rows)[None, :] & (feature < features)[:, None]
        offsets = row.to(tl.int64)[None, :] * out_stride + feature[:, None]
        if has_residual:
            total += tl.load(residual + offsets, mask=stored, other=0.0).to(tl.float32)
        tl.store(out + offsets, total.to(out.dtype.element_ty), mask=stored)
