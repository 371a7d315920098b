"""Rounding a weight to few bits: how far off it may be, and when it is exact."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from prodtop.engine.precision.quantize import (
    Int4Weight,
    Int8Weight,
    quantize_fp8,
    quantize_int4,
    quantize_int8,
)
from torch import Tensor

GROUP = 32
BF16_ROUNDING = 2.0**-8
"""Half a unit in the last place of bf16, relative, with room for a second rounding."""


def weights(columns: int = 2 * GROUP) -> st.SearchStrategy[Tensor]:
    """Weights `[1 … 4, columns]` of many magnitudes, constant and all-zero ones among them."""
    elements = st.floats(-100, 100, width=32, allow_subnormal=False)
    shapes = st.tuples(st.integers(1, 4), st.just(columns))
    return arrays.arrays(np.float32, shapes, elements=elements).map(torch.from_numpy)


def int8_values(weight: Int8Weight) -> Tensor:
    return weight.q.double() * weight.scale.double().unsqueeze(1)


def int4_values(weight: Int4Weight) -> Tensor:
    grouped = (weight.q.double() - 8).view(weight.q.shape[0], -1, GROUP)
    scale, zero = weight.scale.double().unsqueeze(-1), weight.zero.double().unsqueeze(-1)
    return (grouped * scale + zero).flatten(1)


@pytest.mark.parametrize("storage", [torch.float32, torch.bfloat16])
@settings(deadline=None, max_examples=60)
@given(weight=weights())
def test_int8_errs_by_half_a_step_at_most(storage: torch.dtype, weight: Tensor) -> None:
    quantized = quantize_int8(weight, storage)
    assert quantized.q.dtype is torch.int8
    assert quantized.scale.dtype is storage
    error = (weight.double() - int8_values(quantized)).abs()
    assert (error <= 0.5001 * quantized.scale.double().unsqueeze(1)).all()


@settings(deadline=None, max_examples=80)
@given(weight=weights())
def test_int4_errs_by_half_a_step_and_the_rounding_of_its_zero_at_most(weight: Tensor) -> None:
    quantized = quantize_int4(weight, GROUP, torch.bfloat16)
    assert int(quantized.q.min()) >= 0
    assert int(quantized.q.max()) <= 15
    error = (weight.double() - int4_values(quantized)).abs().view(weight.shape[0], -1, GROUP)
    magnitude = weight.double().abs().view(weight.shape[0], -1, GROUP).amax(-1, keepdim=True)
    bound = 0.5001 * quantized.scale.double().unsqueeze(-1) + BF16_ROUNDING * magnitude
    assert (error <= bound + 1e-7).all()


def test_int4_of_ordinary_weights_keeps_to_half_a_step() -> None:
    """Where groups straddle zero, the rounding of `q` makes up for that of scale and zero."""
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    quantized = quantize_int4(weight, GROUP, torch.bfloat16)
    error = (weight.double() - int4_values(quantized)).abs().view(64, -1, GROUP)
    steps = error / quantized.scale.double().unsqueeze(-1)
    inside = (quantized.q > 0) & (quantized.q < 15)
    assert (steps[inside.view(64, -1, GROUP)] <= 0.5001).all()
    assert steps.max() < 0.6, "and at the ends of the range little more"


@settings(deadline=None, max_examples=40)
@given(
    q=arrays.arrays(np.int8, (3, 2 * GROUP), elements=st.integers(-127, 127)),
    exponent=st.integers(-10, 3),
    mantissa=st.integers(128, 255),
)
def test_int8_is_exact_on_what_it_can_represent(
    q: np.typing.NDArray[np.int8], exponent: int, mantissa: int
) -> None:
    q[:, 0] = 127
    scale = mantissa / 128 * 2.0**exponent
    weight = torch.from_numpy(q.astype(np.float32) * np.float32(scale))
    assert torch.equal(int8_values(quantize_int8(weight, torch.bfloat16)).float(), weight)


@settings(deadline=None, max_examples=40)
@given(
    q=arrays.arrays(np.int8, (3, 2 * GROUP), elements=st.integers(0, 15)),
    exponent=st.integers(-10, 3),
    zero=st.integers(-10, 10),
)
def test_int4_is_exact_on_what_it_can_represent(
    q: np.typing.NDArray[np.int8], exponent: int, zero: int
) -> None:
    q[:, ::GROUP], q[:, 1::GROUP] = 0, 15
    weight = torch.from_numpy((q.astype(np.float32) - 8 + zero) * np.float32(2.0**exponent))
    quantized = quantize_int4(weight, GROUP, torch.bfloat16)
    assert torch.equal(quantized.q, torch.from_numpy(q.astype(np.int32)))
    assert torch.equal(int4_values(quantized).float(), weight)


def test_zeros_stay_zeros() -> None:
    weight = torch.zeros(2, 2 * GROUP)
    assert not int8_values(quantize_int8(weight, torch.bfloat16)).any()
    assert not int4_values(quantize_int4(weight, GROUP, torch.bfloat16)).any()
    fp8 = quantize_fp8(weight)
    assert not (fp8.q.float() * fp8.scale.T).any()


def test_the_dtype_of_the_checkpoint_changes_nothing_but_its_own_rounding() -> None:
    narrow = torch.randn(4, 64, generator=torch.Generator().manual_seed(2)).bfloat16()
    assert torch.equal(
        quantize_int8(narrow, torch.bfloat16).q, quantize_int8(narrow.float(), torch.bfloat16).q
    )
    assert torch.equal(
        quantize_int4(narrow, GROUP, torch.bfloat16).q,
        quantize_int4(narrow.float(), GROUP, torch.bfloat16).q,
    )


@settings(deadline=None, max_examples=40)
@given(weight=weights())
def test_fp8_errs_by_a_sixteenth_at_most(weight: Tensor) -> None:
    """e4m3 has three bits of mantissa; below its smallest normal number the step is fixed."""
    quantized = quantize_fp8(weight)
    values = quantized.q.double() * quantized.scale.double().T
    error = (weight.double() - values).abs()
    smallest_step = 2.0**-9 * quantized.scale.double().T
    assert (error <= weight.double().abs() / 16 * 1.0001 + smallest_step).all()


def test_scales_and_zeros_are_laid_out_by_group_then_row() -> None:
    weight = torch.randn(5, 3 * GROUP, generator=torch.Generator().manual_seed(3))
    quantized = quantize_int4(weight, GROUP, torch.bfloat16)
    laid_out = quantized.scales_and_zeros(torch.bfloat16)
    assert laid_out.shape == (3, 5, 2)
    assert laid_out.is_contiguous()
    assert torch.equal(
        laid_out[2, 4].float(), torch.stack((quantized.scale[4, 2], quantized.zero[4, 2]))
    )
