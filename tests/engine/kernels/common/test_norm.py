"""Fused norms against torch's, in Triton's interpreter or on the GPU."""

import pytest
import torch
import torch.nn.functional as F
from fp8_oracle import fp8_rows
from prodtop.engine.kernels.common.norm import layer_norm, rms_norm, rms_norm_fp8
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
def test_what_the_layer_before_adds_goes_into_the_residual(dtype: torch.dtype) -> None:
    x, delta = random(3, 48, seed=1, dtype=dtype), random(3, 48, seed=2, dtype=dtype)
    weight = random(48, seed=3, dtype=dtype)
    total = x + delta
    normed = rms_norm(x, weight, EPS, delta=delta)
    assert torch.equal(x, total)
    assert close(normed, exact_rms_norm(total, weight))


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
    x, delta = random(4, 72, seed=1, dtype=dtype), random(4, 72, seed=2, dtype=dtype)
    x[2], delta[2] = 0, 0
    weight = random(72, seed=3, dtype=dtype)
    q, scale = fp8_rows(rms_norm(x.clone(), weight, EPS, delta=delta))
    fused_q, fused_scale = rms_norm_fp8(x.clone(), weight, EPS, delta=delta)
    assert torch.equal(fused_scale, scale)
    assert torch.equal(fused_q.float(), q.float())


def test_rows_may_be_strided_and_land_in_a_buffer() -> None:
    wide = random(5, 100, seed=1, dtype=torch.float32)
    weight = random(40, seed=2, dtype=torch.float32)
    out = torch.zeros(5, 60, device=DEVICE)
    rms_norm(wide[:, 10:50], weight, EPS, out=out[:, :40])
    assert close(out[:, :40], exact_rms_norm(wide[:, 10:50], weight))
    assert not out[:, 40:].any()


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 256, 3000])
@pytest.mark.parametrize("width", [1024, 4096, 5120])
def test_shapes_that_are_served(rows: int, width: int) -> None:
    x, delta = (random(rows, width, seed=seed, dtype=torch.bfloat16) for seed in (1, 2))
    weight = random(width, seed=3, dtype=torch.bfloat16)
    total = x + delta
    assert close(rms_norm(x, weight, EPS, delta=delta), exact_rms_norm(total, weight))
    assert torch.equal(x, total)
