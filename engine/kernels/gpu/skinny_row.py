"""One row by a weight of any format, without the tensor cores.

The row stays in registers, spread over the program's threads and normalized once; rows of the
weight stream past it, `BLOCK_N` at a time, 16 bytes a load, each thread multiplying what it holds
the inputs of. As many programs as the device holds run from start to end, each with its next
`DEPTH` blocks on their way to registers, so that the stream never stops.

What a weight costs besides its load decides how near to the bandwidth the packed formats come:
`skinny_values` makes fp32 of them in one or two instructions. The values are off by a constant, of
which the inputs' sums, taken once, rid each thread's sum.
"""

import triton
import triton.language as tl

from .dependent_launch import wait_for_previous
from .skinny_epilogue import finish, weight_rows
from .skinny_prologue import LARGEST_E4M3, prefetch_rows, round_e4m3
from .skinny_values import INT8_LIFT, fp8_values, int4_lift, int4_values, int8_values


@triton.constexpr_function
def plane_of_part(part: int, index: int, shared: int) -> int:
    """The values of an int4 word that lie in one group: `shared` planes of each of its halves."""
    return index // shared * 4 + part * shared + index % shared


@triton.jit
def _load_rows(
    weight,
    first,
    end,
    features,
    inputs,
    chunk: tl.constexpr,
    FORMAT: tl.constexpr,
    ACTIVATION: tl.constexpr,
    EVEN: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PIECES: tl.constexpr,
    PIECE: tl.constexpr,
):
    """`[BLOCK_N, PIECES, PIECE]` elements of the weight in a chunk of the inputs, nothing from
    `end` on: that is another program's."""
    feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
    feature = tl.minimum(feature, features - 1).to(tl.int64)[:, None, None]
    piece = chunk * PIECES + tl.arange(0, PIECES)[None, :, None]
    element = tl.arange(0, PIECE)[None, None, :]
    if FORMAT == "int4":
        block = piece // 4
        pointers = weight + (block.to(tl.int64) * features + feature) * 16
        pointers += piece % 4 * PIECE + element
        mask = (first < end) & (block * 128 < inputs)
    else:
        row_stride = inputs
        if FORMAT == "int8":
            row_stride = tl.cdiv(inputs, 128) * 32
        if FORMAT == "fp8":
            row_stride = inputs // 4
        position = piece * PIECE + element
        pointers = weight + feature * row_stride + position
        mask = (first < end) & (position < row_stride)
    if EVEN:
        mask = first < end
    return tl.load(pointers, mask=mask, other=0, eviction_policy="evict_first")


@triton.jit
def _load_block(
    weight,
    first,
    end,
    features,
    inputs,
    FORMAT: tl.constexpr,
    ACTIVATION: tl.constexpr,
    EVEN: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PIECES: tl.constexpr,
    PIECE: tl.constexpr,
    CHUNKS: tl.constexpr,
):
    """`_load_rows` of every chunk."""
    block = ()
    for chunk in tl.static_range(CHUNKS):
        block += (  # type: ignore[assignment]  # it grows
            _load_rows(
                weight, first, end, features, inputs, chunk, FORMAT, ACTIVATION, EVEN, BLOCK_N,
                PIECES, PIECE,
            ),
        )  # fmt: skip
    return block


@triton.jit
def _positions(element, plane: tl.constexpr, FORMAT: tl.constexpr):
    """Which input value `plane` of each of a row's `element`s is for (`precision/planes.py`)."""
    if FORMAT == "int8":
        # The bytes of a block of 128 inputs alternate between its two planes of 64.
        byte = element * 4 + plane
        return byte // 128 * 128 + byte % 2 * 64 + byte % 128 // 2
    if FORMAT == "fp8":
        return element * 4 + plane
    if FORMAT == "int4":
        # Two 16-bit words, each with one value of every plane of 32.
        return element // 16 * 128 + plane % 4 * 32 + element % 16 * 2 + plane // 4
    return element


@triton.jit
def _values(words, FORMAT: tl.constexpr, FAST: tl.constexpr):
    """fp32 of dense, int8 or fp8 weights, plane by plane."""
    if FORMAT == "int8":
        return int8_values(words, FAST)
    elif FORMAT == "fp8":  # noqa: RET505  (Triton reads on past a return)
        return fp8_values(words, FAST)
    else:
        return (words.to(tl.float32),)


@triton.jit
def _scaled_groups(
    words,
    x,
    bases,
    sums,
    scale,
    first,
    features,
    inputs,
    chunk: tl.constexpr,
    GROUP: tl.constexpr,
    ACTIVATION: tl.constexpr,
    FAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PIECES: tl.constexpr,
):
    """`[BLOCK_N, PIECES]` sums of int4 weights times inputs, each group with its scale and zero."""
    feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
    feature = tl.minimum(feature, features - 1)
    # As many planes of a block as lie in one group.
    SHARED: tl.constexpr = max(1, min(4, GROUP // 32))
    block = (chunk * PIECES + tl.arange(0, PIECES)) // 4
    values = int4_values(words, FAST)
    total = tl.zeros((BLOCK_N, PIECES), tl.float32)
    for part in tl.static_range(4 // SHARED):
        own = tl.zeros((BLOCK_N, PIECES), tl.float32)
        for index in tl.static_range(2 * SHARED):
            own += tl.sum(
                values[plane_of_part(part, index, SHARED)]
                * x[plane_of_part(part, index, SHARED)][None, :, :],
                2,
            )
        k = block * 128 + part * SHARED * 32
        offsets = (k // GROUP)[None, :] * features + feature[:, None]
        if FAST:
            # Were it known that features are neighbours, the loads would be laid out by them, and
            # exchanged among threads afterwards.
            offsets = tl.inline_asm_elementwise(
                "mov.b32 $0, $1;", "=r,r", [offsets], dtype=tl.int32, is_pure=True, pack=1
            )
        pair = tl.load(scale + offsets, mask=(k < inputs)[None, :], other=0)
        group_scale = (pair << 16).to(tl.float32, bitcast=True)
        group_zero = (pair & -65536).to(tl.float32, bitcast=True)
        total += (own - bases[part][None, :]) * group_scale + sums[part][None, :] * group_zero
    return total


@triton.jit
def _block_sums(
    words,
    held,
    bases,
    sums,
    scale,
    first,
    features,
    inputs,
    FORMAT: tl.constexpr,
    GROUP: tl.constexpr,
    ACTIVATION: tl.constexpr,
    FAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PIECES: tl.constexpr,
    CHUNKS: tl.constexpr,
):
    """`[BLOCK_N, PIECES]`: what each piece of the weight's rows adds to their products."""
    PLANES: tl.constexpr = 8 if FORMAT == "int4" else (1 if FORMAT == "dense" else 4)
    PARTS: tl.constexpr = 4 // max(1, min(4, GROUP // 32))
    total = tl.zeros((BLOCK_N, PIECES), tl.float32)
    for chunk in tl.static_range(CHUNKS):
        row = held[chunk * PLANES : (chunk + 1) * PLANES]
        if FORMAT == "int4":
            total += _scaled_groups(
                words[chunk],
                row,
                bases[chunk * PARTS : (chunk + 1) * PARTS],
                sums[chunk * PARTS : (chunk + 1) * PARTS],
                scale,
                first,
                features,
                inputs,
                chunk,
                GROUP,
                ACTIVATION,
                FAST,
                BLOCK_N,
                PIECES,
            )
        else:
            weights = _values(words[chunk], FORMAT, FAST)
            products = weights[0] * row[0][None, :, :]
            for plane in tl.static_range(1, PLANES):
                products += weights[plane] * row[plane][None, :, :]
            total += tl.sum(products, 2)
    return total


@triton.jit
def skinny_row_kernel(
    x,
    gain,
    weight,
    scale,
    bias,
    residual,
    out,
    features,
    inputs,
    eps,
    blocks_per_program,
    FORMAT: tl.constexpr,
    GROUP: tl.constexpr,
    NORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    EVEN: tl.constexpr,
    FAST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    PIECES: tl.constexpr,
    CHUNKS: tl.constexpr,
    DEPTH: tl.constexpr,
    PREFETCH: tl.constexpr,
    THREADS: tl.constexpr,
    EARLY: tl.constexpr,
    PDL: tl.constexpr,
):
    """`out [features]` from `x [inputs]`, in `CHUNKS` of `PIECES` 16-byte pieces of weights.

    EVEN: the chunks end with the inputs. `PREFETCH` blocks after the first `DEPTH` come to
    the L2 cache before the kernel before is done. EARLY lets the next kernel do so from the start.
    """
    PIECE: tl.constexpr = 128 // weight.dtype.element_ty.primitive_bitwidth
    PLANES: tl.constexpr = 8 if FORMAT == "int4" else (1 if FORMAT == "dense" else 4)
    # As many planes of an int4 block as lie in one group, and such parts of a block.
    SHARED: tl.constexpr = max(1, min(4, GROUP // 32))
    PARTS: tl.constexpr = 4 // SHARED
    span = blocks_per_program * BLOCK_N
    start = tl.program_id(0) * span
    end = tl.minimum(start + span, features)

    if PDL and EARLY:
        tl.extra.cuda.gdc_launch_dependents()
    blocks = ()
    for index in tl.static_range(DEPTH):
        blocks += (  # type: ignore[assignment]  # it grows
            _load_block(
                weight, start + index * BLOCK_N, end, features, inputs, FORMAT, ACTIVATION, EVEN,
                BLOCK_N, PIECES, PIECE, CHUNKS,
            ),
        )  # fmt: skip
    if PREFETCH > 0:
        WORDS: tl.constexpr = CHUNKS * PIECES * PIECE
        prefetch_rows(
            weight, start + DEPTH * BLOCK_N, features, FORMAT, ACTIVATION, PREFETCH * BLOCK_N,
            WORDS, THREADS,
        )  # fmt: skip
    wait_for_previous(PDL)

    values = ()
    squares = 0.0
    largest = 0.0
    for chunk in tl.static_range(CHUNKS):
        element = tl.arange(0, PIECES)[:, None] * PIECE + tl.arange(0, PIECE)[None, :]
        for plane in tl.static_range(PLANES):
            position = _positions(element + chunk * PIECES * PIECE, plane, FORMAT)
            inside = position < inputs
            value = tl.load(x + position, mask=inside, other=0.0).to(tl.float32)
            if NORM:
                squares += tl.sum(tl.sum(value * value, 1), 0)
                value *= tl.load(gain + position, mask=inside, other=0.0).to(tl.float32)
            if FORMAT == "fp8":
                largest = tl.maximum(largest, tl.max(tl.max(tl.abs(value), 1), 0))
            values += (value,)  # type: ignore[assignment]  # it grows
    factor = 1.0
    if NORM:
        factor = tl.rsqrt(squares / inputs + eps)
    if FORMAT == "fp8":
        x_scale = tl.maximum(largest / LARGEST_E4M3, 1e-12)
        factor *= x_scale

    # The row as the values want it, and what their constant parts add up to.
    held = ()
    bases = ()
    sums = ()
    for chunk in tl.static_range(CHUNKS):
        for plane in tl.static_range(PLANES):
            value = values[chunk * PLANES + plane]
            if FORMAT == "fp8":
                value = round_e4m3(value / x_scale, False).to(tl.float32)
            if FORMAT == "int4" and FAST:
                value *= int4_lift(plane)
            if FORMAT == "int8" and FAST:
                value *= INT8_LIFT
            held += (value,)  # type: ignore[assignment]  # it grows
        if FORMAT == "int4":
            for part in tl.static_range(PARTS):
                base = tl.zeros((PIECES,), tl.float32)
                own = tl.zeros((PIECES,), tl.float32)
                for index in tl.static_range(2 * SHARED):
                    own += tl.sum(values[chunk * PLANES + plane_of_part(part, index, SHARED)], 1)
                    if FAST:
                        base += tl.sum(held[chunk * PLANES + plane_of_part(part, index, SHARED)], 1)
                bases += (base + 8.0 * own,)  # type: ignore[assignment]  # it grows
                sums += (own,)  # type: ignore[assignment]  # it grows
    if FORMAT == "int8" and FAST:
        offset = tl.zeros((PIECES,), tl.float32)
        for index in tl.static_range(CHUNKS * PLANES):
            offset += tl.sum(held[index], 1)
        offset *= 1.0 + 128.0 / INT8_LIFT

    for turn in tl.range(start, end, DEPTH * BLOCK_N):
        following = ()
        for index in tl.static_range(DEPTH):
            first = turn + index * BLOCK_N
            total = _block_sums(
                blocks[index], held, bases, sums, scale, first, features, inputs, FORMAT, GROUP,
                ACTIVATION, FAST, BLOCK_N, PIECES, CHUNKS,
            )  # fmt: skip
            if FORMAT == "int8" and FAST:
                total -= offset[None, :]
            y = tl.sum(total, 1) * factor
            if FORMAT == "int8" or FORMAT == "fp8":
                feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
                inside_rows = feature < features
                y *= tl.load(scale + feature, mask=inside_rows, other=0.0).to(tl.float32)
            # No row is stored of another program's block.
            finish(
                y[:, None], first, features, (first < end).to(tl.int32), bias, residual, out, 0, 0,
                ACTIVATION, HAS_BIAS, HAS_RESIDUAL, BLOCK_N, 1,
            )  # fmt: skip
            following += (  # type: ignore[assignment]  # it grows
                _load_block(
                    weight, first + DEPTH * BLOCK_N, end, features, inputs, FORMAT, ACTIVATION,
                    EVEN, BLOCK_N, PIECES, PIECE, CHUNKS,
                ),
            )  # fmt: skip
        blocks = following
