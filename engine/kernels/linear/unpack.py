"""From packed 16-bit words to weights in the activations' dtype, in registers.

`engine/precision/planes.py` describes the words. `FAST` picks inline PTX for bf16, which makes two
weights with a mask, an OR and a subtraction: 0x4300 is 128 in bf16, whose seven bits of mantissa
then count in ones. What subtracts is a multiply-add by one or minus one, which GPUs before Hopper
have too. Without `FAST` plain integer arithmetic does the same, for other dtypes and for Triton's
interpreter.
"""

import triton
import triton.language as tl

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
def unpack_int8(words, dtype: tl.constexpr, FAST: tl.constexpr):
    """int16 words to their two planes, each of the words' shape."""
    if FAST:
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
def unpack_int4(words, grid0, grid1, grid2, grid3, dtype: tl.constexpr, FAST: tl.constexpr):
    """int16 words to their four planes; `gridJ` holds each row's scale and zero in plane J.

    Those are two bf16 in an int32, the scale in the low half; they broadcast against `words`.
    """
    if FAST:
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
def _plane_int4(words, grid, dtype: tl.constexpr):
    scale = (grid << 16).to(tl.float32, bitcast=True)
    zero = (grid & -65536).to(tl.float32, bitcast=True)
    return (((words & 15) - 8).to(tl.float32) * scale + zero).to(dtype)
