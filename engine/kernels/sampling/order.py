"""Integers that order as floats do, so that a float can be searched for bit by bit."""

import triton
import triton.language as tl


@triton.jit
def ordered_bits(x):
    """int32 images of fp32 `x`: `a < b` exactly where image(a) < image(b); -0 and 0 are equal."""
    bits = (x + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@triton.jit
def float_of_bits(image):
    """The fp32 whose `ordered_bits` is `image`."""
    return tl.where(image < 0, image ^ 0x7FFFFFFF, image).to(tl.float32, bitcast=True)
