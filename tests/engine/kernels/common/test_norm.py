"""Fused norms against torch's, in Triton's interpreter or on the GPU."""

import pytest
import torch
import torch.nn.functional as F
from fp8_oracle import fp8_rows
from prodtop.engine.kernels.common.norm import layer_norm, rms_norm, rms_norm_fp8
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
WIDTHS = [1, 48, 64, 300]
EPS = 1e-5


def random(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.to(DEVICE, dtype)


def exact_rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x.double(), weight.shape, weight.double(), EPS)


def close(ours: Tensor, exact: Tensor) -> bool:
    """Within a rounding and a half of the result's dtype."""
    step = torch.finfo(ours.dtype).eps
    return torch.allclose(ours.double(), exact, rtol=0.75 * step, atol=8e-7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", WIDTHS)
def test_rms_norm(dtype: torch.dtype, width: int) -> None:
    x, weight = (random(*shape, seed=1, dtype=dtype) for shape in ((3, width), (width,)))
    assert close(rms_norm(x, weight, EPS), exact_rms_norm(x, weight))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", WIDTHS)
def test_layer_norm(dtype: torch.dtype, width: int) -> None:
    x = random(3, width, seed=1, dtype=dtype) + 3
    weight, bias = random(width, seed=2, dtype=dtype), random(width, seed=3, dtype=dtype)
    exact = F.layer_norm(x.double(), (width,), weight.double(), bias.double(), EPS)
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(
        layer_norm(x, weight, bias, EPS).double(), exact, rtol=step, atol=16 * step
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_fusing_the_rounding_changes_nothing(dtype: torch.dtype) -> None:
    x, weight = random(4, 72, seed=1, dtype=dtype), random(72, seed=3, dtype=dtype)
    x[2] = 0
    q, scale = fp8_rows(rms_norm(x, weight, EPS))
    fused_q, fused_scale = rms_norm_fp8(x, weight, EPS)
    assert torch.equal(fused_scale, scale)
    assert torch.equal(fused_q.float(), q.float())


def test_rows_may_be_strided() -> None:
    wide = random(5, 100, seed=1, dtype=torch.float32)
    weight = random(40, seed=2, dtype=torch.float32)
    x = wide[:, 10:50]
    assert close(rms_norm(x, weight, EPS), exact_rms_norm(x, weight))


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 256, 3000])
@pytest.mark.parametrize("width", [1024, 4096, 5120])
def test_shapes_that_are_served(rows: int, width: int) -> None:
    x = random(rows, width, seed=1, dtype=torch.bfloat16)
    weight = random(width, seed=3, dtype=torch.bfloat16)
    assert close(rms_norm(x, weight, EPS), exact_rms_norm(x, weight))
