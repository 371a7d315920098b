"""fp8 (e4m3) with one scale a row: what the row-wise fp8 matrix product reads."""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def quantize_row(x):
    """e4m3 of a whole row `x` (fp32, padded with zeros), and the scale that restores it."""
    scale = tl.maximum(tl.max(tl.abs(x), axis=0) / 448.0, 1e-12)
    # The rounded quotient from the reciprocal, put right by its remainder (Markstein 1990): a
    # division proper takes a dozen instructions more for each element.
    inverse = tl.div_rn(1.0, scale)
    q = x * inverse
    q = tl.fma(tl.fma(-q, scale, x), inverse, q)
    # Rounding may carry the quotient past the largest number, which converts to NaN.
    q = tl.minimum(tl.maximum(q, -448.0), 448.0)
    return q.to(tl.float8e4nv), scale


def empty_fp8_rows(rows: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Buffers for e4m3 `[rows, width]` and fp32 scales `[rows, 1]`."""
    return (
        torch.empty((rows, width), dtype=torch.float8_e4m3fn, device=device),
        torch.empty((rows, 1), dtype=torch.float32, device=device),
    )
