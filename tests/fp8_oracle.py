"""Row-wise fp8 rounding in plain torch."""

import torch
from torch import Tensor


def fp8_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """e4m3 `[rows, width]` and fp32 scales `[rows, 1]`."""
    scale = (x.float().abs().amax(dim=1, keepdim=True) / 448.0).clamp(min=1e-12)
    return (x.float() / scale).clamp(-448.0, 448.0).to(torch.float8_e4m3fn), scale
