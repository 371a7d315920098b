"""A warp's tensor-core products of operands loaded straight into the registers that need them.

`mma.sync.m16n8k16` (PTX ISA, "Matrix Fragments for mma.m16n8k16") multiplies 16 rows of 16 values
by 16 values of 8 columns. Of the operands and the result each of the 32 threads holds a few: with
`g = lane / 4` and `t = lane % 4`, of the rows `g` and `g + 8` the inputs `2t, 2t + 1` (`a0`, `a1`)
and `2t + 8, 2t + 9` (`a2`, `a3`), of column `g` the same inputs (`b0`, `b1`), and of the result the
columns `2t` and `2t + 1` in row `g` (`c0`, `c1`) and row `g + 8` (`c2`, `c3`). Which inputs of a
long row these are is for the caller to choose, as long as both operands agree.

All tensors here have as many elements as the program has threads, so that element `i` lies in
thread `i`. A value of an operand is a word of two bf16 or two fp16, the first in its low half.
`INLINE_PTX` allows inline PTX; without it, in the interpreter, plain operations do the same.
"""

import triton
import triton.language as tl

INT8_OFFSET = tl.constexpr(1152.0)
"""What `int8_pairs` are too large by. For `int4_pairs` it is that of `unpack`."""


@triton.constexpr_function
def inputs_of_unit(weight_format: str) -> int:
    """How many inputs of a row the four threads that share it hold with a load of 16 bytes each."""
    return 128 if weight_format == "int4" else 64


@triton.jit
def lane_place(THREADS: tl.constexpr):
    """`warp`, `g` and `t` of each thread."""
    thread = tl.arange(0, THREADS)
    return thread // 32, thread % 32 // 4, thread % 4


@triton.jit
def quarters(words):
    """Split `[threads, 4]`, what a thread loads in 16 bytes, into four of `[threads]`."""
    THREADS: tl.constexpr = words.shape[0]
    even, odd = tl.split(tl.reshape(words, (THREADS, 2, 2)))
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    return first, second, third, fourth


@triton.jit
def load_quarters(pointers, wanted, INLINE_PTX: tl.constexpr):
    """The four words from each of `pointers` `[threads]` on; zeros where they are not `wanted`.

    For kernels of many loads: to choose a layout for each of its own loads, Triton takes time that
    grows with the square of the kernel's length.
    """
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            "{ .reg .pred wanted; setp.ne.b32 wanted, $5, 0; "
            "mov.b32 $0, 0; mov.b32 $1, 0; mov.b32 $2, 0; mov.b32 $3, 0; "
            "@wanted ld.global.v4.b32 {$0, $1, $2, $3}, [$4]; }",
            "=&r,=&r,=&r,=&r,l,r",
            [pointers.to(tl.int64), wanted.to(tl.int32)],
            dtype=(tl.int32, tl.int32, tl.int32, tl.int32),
            is_pure=False,
            pack=1,
        )
    words = pointers[:, None] + tl.arange(0, 4)[None, :]
    return quarters(tl.load(words, mask=wanted[:, None], other=0))


@triton.jit
def unpaired(words, FP16: tl.constexpr):
    """Unpack the two values of each word, to fp32."""
    if FP16:
        low = (words & 0xFFFF).to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
        high = (words >> 16).to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    else:
        low = (words << 16).to(tl.float32, bitcast=True)
        high = (words & -65536).to(tl.float32, bitcast=True)
    return low, high


@triton.jit
def paired(low, high, FP16: tl.constexpr, INLINE_PTX: tl.constexpr):
    """Round two fp32 values and pack them in words, `low` in the low half."""
    if INLINE_PTX:
        KIND: tl.constexpr = "f16" if FP16 else "bf16"
        return tl.inline_asm_elementwise(
            f"cvt.rn.{KIND}x2.f32 $0, $2, $1;",
            "=r,f,f",
            [low, high],
            dtype=tl.int32,
            is_pure=True,
            pack=1,
        )
    dtype: tl.constexpr = tl.float16 if FP16 else tl.bfloat16
    first = low.to(dtype).to(tl.int16, bitcast=True).to(tl.int32) & 0xFFFF
    return first | (high.to(dtype).to(tl.int16, bitcast=True).to(tl.int32) << 16)


@triton.jit
def halves(first, second, HIGH: tl.constexpr, INLINE_PTX: tl.constexpr):
    """Words of two words' low halves, or of their high ones: one column of two rows."""
    if INLINE_PTX:
        SELECTED: tl.constexpr = 0x7632 if HIGH else 0x5410
        return tl.inline_asm_elementwise(
            f"prmt.b32 $0, $1, $2, {SELECTED};",
            "=r,r,r",
            [first, second],
            dtype=tl.int32,
            is_pure=True,
            pack=1,
        )
    if HIGH:
        return ((first >> 16) & 0xFFFF) | (second & -65536)
    return (first & 0xFFFF) | (second << 16)


@triton.jit
def transposed(words, INLINE_PTX: tl.constexpr):
    """Transpose a warp's 8 × 8 matrix, values `2t` and `2t + 1` of row `g` in a thread's word."""
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;",
            "=r,r",
            [words],
            dtype=tl.int32,
            is_pure=True,
            pack=1,
        )
    THREADS: tl.constexpr = words.shape[0]
    values = tl.join(words & 0xFFFF, (words >> 16) & 0xFFFF)
    columns = tl.permute(tl.reshape(values, (THREADS // 32, 8, 8)), (0, 2, 1))
    low, high = tl.split(tl.reshape(columns, (THREADS, 2)))
    return low | (high << 16)


@triton.jit
def multiply(a0, a1, a2, a3, b0, b1, c, FP16: tl.constexpr, INLINE_PTX: tl.constexpr):
    """Add the product of `a` and `b` to `c`, the four parts of a result in fp32."""
    if INLINE_PTX:
        KIND: tl.constexpr = "f16" if FP16 else "bf16"
        return tl.inline_asm_elementwise(
            f"mma.sync.aligned.m16n8k16.row.col.f32.{KIND}.{KIND}.f32 "
            "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};",
            "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f",
            [a0, a1, a2, a3, b0, b1, c[0], c[1], c[2], c[3]],
            dtype=(tl.float32, tl.float32, tl.float32, tl.float32),
            is_pure=True,
            pack=1,
        )
    low, next_low = _products(a0, b0, FP16)
    low_more, next_low_more = _products(a2, b1, FP16)
    high, next_high = _products(a1, b0, FP16)
    high_more, next_high_more = _products(a3, b1, FP16)
    return (
        c[0] + low + low_more,
        c[1] + next_low + next_low_more,
        c[2] + high + high_more,
        c[3] + next_high + next_high_more,
    )


@triton.jit
def _products(a, b, FP16: tl.constexpr):
    """The tensor cores' product of one word of each operand, in plain arithmetic: two columns."""
    THREADS: tl.constexpr = a.shape[0]
    WARPS: tl.constexpr = THREADS // 32
    total = tl.zeros((WARPS, 8, 8), tl.float32)
    a_low, a_high = unpaired(a, FP16)
    b_low, b_high = unpaired(b, FP16)
    rows = tl.reshape(a_low, (WARPS, 8, 1, 4))
    total += tl.sum(rows * tl.reshape(b_low, (WARPS, 1, 8, 4)), 3)
    rows = tl.reshape(a_high, (WARPS, 8, 1, 4))
    total += tl.sum(rows * tl.reshape(b_high, (WARPS, 1, 8, 4)), 3)
    even, odd = tl.split(tl.reshape(total, (WARPS, 8, 4, 2)))
    return tl.reshape(even, (THREADS,)), tl.reshape(odd, (THREADS,))


@triton.jit
def int4_pairs(words, PLANE: tl.constexpr, INLINE_PTX: tl.constexpr):
    """`q + 128` of the four bits `PLANE` of both halves, as bf16: 0x4300 is 128 in it."""
    shifted = words >> (4 * PLANE)
    if INLINE_PTX:
        # Written as plain operations this would become two instructions.
        return tl.inline_asm_elementwise(
            "lop3.b32 $0, $1, 0x000F000F, 0x43004300, 0xEA;",
            "=r,r",
            [shifted],
            dtype=tl.int32,
            is_pure=True,
            pack=1,
        )
    return (shifted & 0x000F000F) | 0x43004300


@triton.jit
def int8_pairs(words, PLANE: tl.constexpr, INLINE_PTX: tl.constexpr):
    """`q + 1152` of the signed byte `PLANE` of both halves, as fp16: 0x6400 is 1024 in it."""
    lifted = words ^ 0x80808080 - (1 << 32)
    if INLINE_PTX:
        SELECTED: tl.constexpr = 0x4240 if PLANE == 0 else 0x4341
        return tl.inline_asm_elementwise(
            f"prmt.b32 $0, $1, 0x64646464, {SELECTED};",
            "=r,r",
            [lifted],
            dtype=tl.int32,
            is_pure=True,
            pack=1,
        )
    return ((lifted >> (8 * PLANE)) & 0x00FF00FF) | 0x64006400


@triton.jit
def fp8_pairs(words, INLINE_PTX: tl.constexpr):
    """The e4m3 of a word's first two bytes, and of its last two, as fp16."""
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            "{ .reg .b16 low, high; mov.b32 {low, high}, $2; "
            "cvt.rn.f16x2.e4m3x2 $0, low; cvt.rn.f16x2.e4m3x2 $1, high; }",
            "=r,=r,r",
            [words],
            dtype=(tl.int32, tl.int32),
            is_pure=True,
            pack=1,
        )
    return (
        paired(_e4m3(words), _e4m3(words >> 8), True, False),
        paired(_e4m3(words >> 16), _e4m3(words >> 24), True, False),
    )


@triton.jit
def _e4m3(words):
    """fp32 of the lowest byte as e4m3 has it; fp16 has the same bits, of an exponent less by 8."""
    bits = ((words & 0x7F) << 7) | ((words & 0x80) << 8)
    return bits.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32) * 256.0
