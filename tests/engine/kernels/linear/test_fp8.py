"""Rounding activations to fp8 row by row, and the scaled product behind it."""

import pytest
import torch
from prodtop.engine.kernels.linear.fp8 import quantize_rows, scaled_product
from prodtop.engine.kernels.linear.weight import LayerWeight
from prodtop.engine.precision.linear import Fp8Linear
from prodtop.engine.precision.quantize import quantize_fp8

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("rows", "width"), [(1, 16), (3, 100), (17, 512)])
def test_what_fp8_can_hold_comes_back_exactly(rows: int, width: int) -> None:
    """Exact values only: the interpreter rounds others otherwise than the hardware."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 0x7F, (rows, width), dtype=torch.uint8, generator=generator)
    exact = codes.view(torch.float8_e4m3fn).float().to(DEVICE)
    exact[:, 0] = 448.0
    exact[:, 1::2] *= -1
    q, scale = quantize_rows(exact * 2.0**-5)
    assert torch.equal(scale, torch.full((rows, 1), 2.0**-5, device=DEVICE))
    assert torch.equal(q.float(), exact)


@pytest.mark.gpu
@pytest.mark.parametrize(("rows", "width"), [(1, 16), (3, 100), (17, 14336)])
def test_rows_are_rounded_as_weights_are(rows: int, width: int) -> None:
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    x[0] *= 1000
    q, scale = quantize_rows(x)
    expected = quantize_fp8(x)
    assert torch.allclose(scale.flatten(), expected.scale.flatten())
    error = (q.double() * scale.double() - x.double()).abs()
    step = 2.0**-9 * scale.double()
    assert (error <= x.double().abs() / 16 * 1.0001 + step).all()


def test_a_strided_row_of_zeros_and_one_too_large_for_fp8_stay_finite() -> None:
    wide = torch.zeros(4, 96, device=DEVICE)
    wide[1] = 1e30
    q, scale = quantize_rows(wide[:, 16:48])
    values = q.float() * scale
    assert values[0].abs().max() == 0
    assert torch.allclose(values[1], wide[1, 16:48])


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 17, 64, 200])
@pytest.mark.parametrize("has_bias", [False, True])
def test_the_scaled_product_errs_by_its_rounding(rows: int, has_bias: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(rows, 512, generator=generator).to(DEVICE, torch.bfloat16)
    weight = torch.randn(256, 512, generator=generator).to(DEVICE)
    bias = torch.randn(256, generator=generator).to(DEVICE, torch.bfloat16) if has_bias else None
    packed = quantize_fp8(weight)
    exact = x.double() @ weight.double().T
    if bias is not None:
        exact = exact + bias.double()
    fp8 = LayerWeight.of(Fp8Linear(packed.q, packed.scale, bias))
    y = scaled_product(*quantize_rows(x), fp8, torch.bfloat16)
    assert float((y.double() - exact).norm() / exact.norm()) < 0.06


@pytest.mark.gpu
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("rows", [3, 130, 1000])
def test_a_scaled_product_added_to_a_residual_is_the_sum(rows: int, has_bias: bool) -> None:
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(rows, 512, generator=generator).to(DEVICE, torch.bfloat16)
    packed = quantize_fp8(torch.randn(256, 512, generator=generator).to(DEVICE) / 16)
    bias = torch.randn(256, generator=generator).to(DEVICE, torch.bfloat16) if has_bias else None
    weight = LayerWeight.of(Fp8Linear(packed.q, packed.scale, bias))
    residual = torch.randn(rows, 256, generator=generator).to(DEVICE, torch.bfloat16)
    alone = scaled_product(*quantize_rows(x), weight, torch.bfloat16)
    added = residual.clone()
    assert scaled_product(*quantize_rows(x), weight, torch.bfloat16, added) is added
    torch.testing.assert_close(added, residual + alone, rtol=0.02, atol=0.05)
