"""Weights as fp32, for products without the tensor cores: four int8 or fp8, or eight int4, a word.

A fp32 with the exponent of one, and the bits of a small integer put in its mantissa, is one plus
that integer times a power of two. So a weight takes one instruction that picks its bits and sets
the exponent, where a conversion would take the GPU eight times as long as a product. The power
goes into the inputs, and the one plus whatever else is constant into their sums, which a thread
subtracts from its own few products: little is lost to cancellation. `FAST` picks that, in PTX;
plain arithmetic serves Triton's interpreter.
"""

import triton
import triton.language as tl

INT8_LIFT = tl.constexpr(32768.0)
"""What a byte counts less in `int8_values` than it stands for, beside `1 + 128 / INT8_LIFT`."""

_INT8: tl.constexpr = tl.constexpr("""{
    .reg .b32 u;
    xor.b32 u, $4, 0x80808080;
    prmt.b32 $0, u, 0x3F800000, 0x7604;
    prmt.b32 $1, u, 0x3F800000, 0x7614;
    prmt.b32 $2, u, 0x3F800000, 0x7624;
    prmt.b32 $3, u, 0x3F800000, 0x7634;
}""")
"""`1 + (q + 128) / 32768` of each signed byte."""

_FP8: tl.constexpr = tl.constexpr("""{
    .reg .b16 low, high, h0, h1, h2, h3;
    .reg .b32 first, second;
    mov.b32 {low, high}, $4;
    cvt.rn.f16x2.e4m3x2 first, low;
    cvt.rn.f16x2.e4m3x2 second, high;
    mov.b32 {h0, h1}, first;
    mov.b32 {h2, h3}, second;
    cvt.f32.f16 $0, h0;
    cvt.f32.f16 $1, h1;
    cvt.f32.f16 $2, h2;
    cvt.f32.f16 $3, h3;
}""")

_INT4: tl.constexpr = tl.constexpr("""{
    .reg .b32 up, down;
    shl.b32 up, $8, 11;
    shr.u32 down, $8, 9;
    lop3.b32 $0, up, 0x00007800, 0x3F800000, 0xEA;
    lop3.b32 $1, up, 0x00078000, 0x3F800000, 0xEA;
    lop3.b32 $2, up, 0x00780000, 0x3F800000, 0xEA;
    lop3.b32 $3, $8, 0x0000F000, 0x3F800000, 0xEA;
    lop3.b32 $4, $8, 0x000F0000, 0x3F800000, 0xEA;
    lop3.b32 $5, down, 0x00007800, 0x3F800000, 0xEA;
    lop3.b32 $6, down, 0x00078000, 0x3F800000, 0xEA;
    lop3.b32 $7, down, 0x00780000, 0x3F800000, 0xEA;
}""")
"""`1 + q / lift` of each four bits: two shifts bring all of them high up in a mantissa."""


@triton.jit
def int8_values(words, FAST: tl.constexpr):
    """The four signed bytes of int32 `words`, lowest first: or as `_INT8` has them."""
    if FAST:
        return tl.inline_asm_elementwise(
            _INT8,
            "=f,=f,=f,=f,r",
            [words],
            dtype=(tl.float32, tl.float32, tl.float32, tl.float32),
            is_pure=True,
            pack=1,
        )
    return (
        (words << 24 >> 24).to(tl.float32),
        (words << 16 >> 24).to(tl.float32),
        (words << 8 >> 24).to(tl.float32),
        (words >> 24).to(tl.float32),
    )


@triton.jit
def fp8_values(words, FAST: tl.constexpr):
    """The four e4m3 of int32 `words`."""
    if FAST:
        return tl.inline_asm_elementwise(
            _FP8,
            "=f,=f,=f,=f,r",
            [words],
            dtype=(tl.float32, tl.float32, tl.float32, tl.float32),
            is_pure=True,
            pack=1,
        )
    return (_e4m3(words), _e4m3(words >> 8), _e4m3(words >> 16), _e4m3(words >> 24))


@triton.jit
def _e4m3(words):
    """fp32 of the lowest byte as e4m3 has it; fp16 has the same bits, of an exponent less by 8."""
    bits = ((words & 0x7F) << 7) | ((words & 0x80) << 8)
    return bits.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32) * 256.0


@triton.jit
def int4_values(words, FAST: tl.constexpr):
    """The eight fours of bits of int32 `words`, lowest first, `0 … 15`: or as `_INT4` has them."""
    if FAST:
        return tl.inline_asm_elementwise(
            _INT4,
            "=f,=f,=f,=f,=f,=f,=f,=f,r",
            [words],
            dtype=(
                tl.float32, tl.float32, tl.float32, tl.float32,
                tl.float32, tl.float32, tl.float32, tl.float32,
            ),
            is_pure=True,
            pack=1,
        )  # fmt: skip
    return (
        (words & 15).to(tl.float32),
        ((words >> 4) & 15).to(tl.float32),
        ((words >> 8) & 15).to(tl.float32),
        ((words >> 12) & 15).to(tl.float32),
        ((words >> 16) & 15).to(tl.float32),
        ((words >> 20) & 15).to(tl.float32),
        ((words >> 24) & 15).to(tl.float32),
        ((words >> 28) & 15).to(tl.float32),
    )


@triton.constexpr_function
def int4_lift(plane: int) -> float:
    """Two to the number of mantissa bits above the lowest bit of `_INT4`'s output `plane`."""
    return (4096.0, 256.0, 16.0, 2048.0, 128.0, 4096.0, 256.0, 16.0)[plane]
