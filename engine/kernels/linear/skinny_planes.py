"""Weights as the dot kernel takes them from registers: plane by plane, in the product's dtype.

A word of packed int8 or int4 holds one value of each of its planes (`engine/precision/planes.py`,
`pack_int4`); words `i` and `i + 1` of a row are neighbours in every plane. So two 16-bit words in
one register become two neighbouring bf16 with a shift, a mask and an OR: 0x4300 is 128 in bf16,
whose seven bits of mantissa then count in ones. `FAST` picks that, in PTX; plain arithmetic
makes the same values for other dtypes and in Triton's interpreter.
"""

import triton
import triton.language as tl

INT4_OFFSET = tl.constexpr(136.0)
"""What an int4 plane's values are too large by: 128, and the 8 that stands for zero."""


@triton.jit
def int4_plane(words, PLANE: tl.constexpr, dtype: tl.constexpr, FAST: tl.constexpr):
    """`q + 128` of int16 `words`, in their shape; `q` is 0 … 15."""
    if not FAST or dtype != tl.bfloat16:
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
def int8_plane(words, PLANE: tl.constexpr, dtype: tl.constexpr, FAST: tl.constexpr):
    """The signed byte `PLANE` of int16 `words`, in their shape.

    128 + the low seven bits, minus 128 or, where the sign bit makes 0x4380 of it, minus 256; as a
    multiply-add, since bf16 can be subtracted from Hopper on only.
    """
    if not FAST or dtype != tl.bfloat16:
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
    words, FORMAT: tl.constexpr, PLANE: tl.constexpr, dtype: tl.constexpr, FAST: tl.constexpr
):
    """Plane `PLANE` of int8 `words` in `dtype`; a dense or fp8 weight has one, itself."""
    if FORMAT == "int8":
        return int8_plane(words, PLANE, dtype, FAST)
    return words.to(dtype)
