"""The descent from a rounding: never worse, and no single change that would be better is left."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.precision.gptq import damped, gptq_int4
from prodtop.engine.precision.int4_descent import PASSES, descend
from prodtop.engine.precision.int4_fit import fit_int4
from prodtop.engine.precision.quantize import Int4Weight, quantize_int4
from torch import Tensor

BF16 = torch.bfloat16


def layer(rows: int, inputs: int, seed: int) -> tuple[Tensor, Tensor]:
    """A weight `[rows, inputs]` and the damped Hessian of inputs that go together."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, inputs, generator=generator) * 0.05
    mixed = torch.randn(inputs // 2, inputs, generator=generator)
    x = torch.randn(400, inputs // 2, generator=generator) @ mixed
    return weight, damped(x.t() @ x)


def stored(rounded: Int4Weight) -> Tensor:
    """fp64 `[out, in]`."""
    rows, groups = rounded.scale.shape
    steps = (rounded.q.double() - 8).view(rows, groups, -1)
    whole = steps * rounded.scale.double().unsqueeze(-1) + rounded.zero.double().unsqueeze(-1)
    return whole.view(rows, -1)


def error(weight: Tensor, rounded: Int4Weight, hessian: Tensor) -> Tensor:
    """Of each row's output, `[out]`."""
    off = weight.double() - stored(rounded)
    return ((off @ hessian.double()) * off).sum(1)


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 9),
    groups=st.integers(1, 3),
    group=st.sampled_from([32, 64]),
    spread=st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
)
@settings(deadline=None, max_examples=15)
def test_no_row_is_worse_and_all_can_be_stored(
    seed: int, rows: int, groups: int, group: int, spread: float
) -> None:
    weight, hessian = layer(rows, groups * group, seed)
    weight = weight * spread
    start = quantize_int4(weight, group, BF16)
    found = descend(weight, start, hessian, BF16)
    before, after = error(weight, start, hessian), error(weight, found, hessian)
    assert bool((after <= before * (1 + 1e-4) + 1e-30).all())
    assert found.q.dtype is torch.int32
    assert 0 <= int(found.q.min()) <= int(found.q.max()) <= 15
    for name in ("scale", "zero"):
        values = getattr(found, name)
        assert torch.equal(values, values.to(BF16).float())
        assert torch.isfinite(values).all()


@pytest.mark.parametrize("group", [32, 64])
def test_it_goes_on_where_gptq_ends(group: int) -> None:
    weight, hessian = layer(32, 256, 4)
    start = gptq_int4(weight, hessian, group, BF16)
    found = descend(weight, start, hessian, BF16)
    totals = [
        math.sqrt(float(error(weight, each, hessian).sum()))
        for each in (found, start, fit_int4(weight, group, BF16))
    ]
    assert totals[0] < 0.95 * totals[1] < totals[1] < totals[2]


def test_hardly_a_change_of_one_level_is_better_at_the_end() -> None:
    """Against a search over all levels of every input, one at a time, in fp64."""
    weight, hessian = layer(4, 64, 9)
    found = descend(weight, gptq_int4(weight, hessian, 32, BF16), hessian, BF16)
    whole = error(weight, found, hessian)
    gains = 0.0
    for column in range(64):
        for level in range(16):
            q = found.q.clone()
            q[:, column] = level
            changed = error(weight, Int4Weight(q, found.scale, found.zero), hessian)
            gains = max(gains, float(((whole - changed) / whole).max()))
    assert gains < 0.02
    assert PASSES >= 1


def test_uncorrelated_inputs_keep_the_nearest_levels() -> None:
    weight, _ = layer(16, 128, 1)
    start = fit_int4(weight, 64, BF16)
    found = descend(weight, start, torch.eye(128) * 7.0, BF16)
    nearest = (weight.double() - stored(found)).abs()
    step = found.scale.double().repeat_interleave(64, dim=1)
    inside = (found.q > 0) & (found.q < 15)
    # But for the last fit of the scales, which comes after the levels.
    assert float((nearest / step)[inside].max()) < 0.6
