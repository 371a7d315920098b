"""From packed 16-bit words to weights in the activations' dtype, in registers.

A word of packed int8 or int4 holds one value of each of its planes (`engine/precision/planes.py`);
words `i` and `i + 1` of a row are neighbours in every plane. So two words in one register become
two neighbouring bf16 with a shift, a mask, an OR and a subtraction: 0x4300 is 128 in bf16, whose
seven bits of mantissa then count in ones. What subtracts is a multiply-add by one or minus one,
which GPUs before Hopper have too. `INLINE_PTX` does that for bf16; plain integer arithmetic makes
the same values for other dtypes and in Triton's interpreter.
"""

import triton
import triton.language as tl

INT4_OFFSET = tl.constexpr(136.0)
"""What the values of `int4_plane` are too large by: 128, and the 8 that stands for zero."""

_INT8_PAIRS: tl.constexpr = tl.constexpr("""{
    .reg .b32 low, high, shifted, minus;
    mov.b32 minus, 0xBF80BF80;
    lop3.b32 low, $2, 0x007F007F, 0x43004300, 0xEA;
    lop3.b32 high, $2, 0x00800080, 0x43004300, 0xEA;
    fma.rn.bf16x2 $0, high, minus, low;
    shr.u32 shifted, $2, 8;
    lop3.b32 low, shifted, 0x007F007F, 0x43004300, 0xEA;
    lop3.b32 high, shifted, 0x00800080, 0x43004300, 0xEA;
    fma.rn.bf16x2 $1, high, minus, low;
}""")
"""128 + the low seven bits, minus 128 or, where the sign bit is set (0x4380), minus 256."""

_INT4_PAIRS: tl.constexpr = tl.constexpr("""{
    .reg .b32 q0, q1, q2, q3, scale, zero, one, offset;
    mov.b32 one, 0x3F803F80;
    mov.b32 offset, 0xC308C308;
    shr.u32 q1, $4, 4;
    shr.u32 q2, $4, 8;
    shr.u32 q3, $4, 12;
    lop3.b32 q0, $4, 0x000F000F, 0x43004300, 0xEA;
    lop3.b32 q1, q1, 0x000F000F, 0x43004300, 0xEA;
    lop3.b32 q2, q2, 0x000F000F, 0x43004300, 0xEA;
    lop3.b32 q3, q3, 0x000F000F, 0x43004300, 0xEA;
    fma.rn.bf16x2 q0, q0, one, offset;
    fma.rn.bf16x2 q1, q1, one, offset;
    fma.rn.bf16x2 q2, q2, one, offset;
    fma.rn.bf16x2 q3, q3, one, offset;
    prmt.b32 scale, $5, $6, 0x5410;
    prmt.b32 zero, $5, $6, 0x7632;
    fma.rn.bf16x2 $0, q0, scale, zero;
    prmt.b32 scale, $7, $8, 0x5410;
    prmt.b32 zero, $7, $8, 0x7632;
    fma.rn.bf16x2 $1, q1, scale, zero;
    prmt.b32 scale, $9, $10, 0x5410;
    prmt.b32 zero, $9, $10, 0x7632;
    fma.rn.bf16x2 $2, q2, scale, zero;
    prmt.b32 scale, $11, $12, 0x5410;
    prmt.b32 zero, $11, $12, 0x7632;
    fma.rn.bf16x2 $3, q3, scale, zero;
}""")
"""128 + q, minus 136 (0x4308), times the plane's scale plus its zero."""


@triton.jit
def unpack_int8(words, dtype: tl.constexpr, INLINE_PTX: tl.constexpr):
    """int16 words to their two planes, each of the words' shape."""
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            _INT8_PAIRS,
            "=r,=r,r",
            [words],
            dtype=(tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=2,
        )
    return (words << 8 >> 8).to(dtype), (words >> 8).to(dtype)


@triton.jit
def unpack_int4(words, grid0, grid1, grid2, grid3, dtype: tl.constexpr, INLINE_PTX: tl.constexpr):
    """int16 words to their four planes; `gridJ` holds each row's scale and zero in plane J.

    Those are two bf16 in an int32, the scale in the low half; they broadcast against `words`.
    """
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            _INT4_PAIRS,
            "=r,=r,=r,=r,r,r,r,r,r,r,r,r,r",
            [words, grid0, grid1, grid2, grid3],
            dtype=(tl.bfloat16, tl.bfloat16, tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=2,
        )
    return (
        _plane_int4(words, grid0, dtype),
        _plane_int4(words >> 4, grid1, dtype),
        _plane_int4(words >> 8, grid2, dtype),
        _plane_int4(words >> 12, grid3, dtype),
    )


@triton.jit
def scale_and_zero(pair):
    """fp32 of the two bf16 in an int32: an int4 group's scale and zero."""
    return (pair << 16).to(tl.float32, bitcast=True), (pair & -65536).to(tl.float32, bitcast=True)


@triton.jit
def _plane_int4(words, grid, dtype: tl.constexpr):
    scale, zero = scale_and_zero(grid)
    return (((words & 15) - 8).to(tl.float32) * scale + zero).to(dtype)


@triton.jit
def int4_plane(words, PLANE: tl.constexpr, dtype: tl.constexpr, INLINE_PTX: tl.constexpr):
    """`q + 128` of int16 `words`, in their shape; `q` is 0 … 15."""
    if not INLINE_PTX or dtype != tl.bfloat16:
        return (((words >> (4 * PLANE)) & 15) + 128).to(dtype)
    if PLANE == 0:
        return tl.inline_asm_elementwise(
            "lop3.b32 $0, $1, 0x000F000F, 0x43004300, 0xEA;",
            "=r,r",
            [words],
            dtype=tl.bfloat16,
            is_pure=True,
            pack=2,
        )
    SHIFT: tl.constexpr = 4 * PLANE
    return tl.inline_asm_elementwise(
        f"{{ .reg .b32 q; shr.u32 q, $1, {SHIFT}; lop3.b32 $0, q, 0x000F000F, 0x43004300, 0xEA; }}",
        "=r,r",
        [words],
        dtype=tl.bfloat16,
        is_pure=True,
        pack=2,
    )


@triton.jit
def int8_plane(words, PLANE: tl.constexpr, dtype: tl.constexpr, INLINE_PTX: tl.constexpr):
    """The signed byte `PLANE` of int16 `words`, in their shape.

    128 + the low seven bits, minus 128 or, where the sign bit makes 0x4380 of it, minus 256; as a
    multiply-add, since bf16 can be subtracted from Hopper on only.
    """
    if not INLINE_PTX or dtype != tl.bfloat16:
        return ((words << (8 - 8 * PLANE)).to(tl.int16) >> 8).to(dtype)
    SHIFT: tl.constexpr = 8 * PLANE
    return tl.inline_asm_elementwise(
        f"{{ .reg .b32 q, low, sign, minus; mov.b32 minus, 0xBF80BF80; shr.u32 q, $1, {SHIFT}; "
        "lop3.b32 low, q, 0x007F007F, 0x43004300, 0xEA; "
        "lop3.b32 sign, q, 0x00800080, 0x43004300, 0xEA; "
        "fma.rn.bf16x2 $0, sign, minus, low; }",
        "=r,r",
        [words],
        dtype=tl.bfloat16,
        is_pure=True,
        pack=2,
    )


@triton.jit
def plane(
    words, FORMAT: tl.constexpr, PLANE: tl.constexpr, dtype: tl.constexpr, INLINE_PTX: tl.constexpr
):
    """Plane `PLANE` of int8 `words` in `dtype`; a dense or fp8 weight has one, itself."""
    if FORMAT == "int8":
        return int8_plane(words, PLANE, dtype, INLINE_PTX)
    return words.to(dtype)
