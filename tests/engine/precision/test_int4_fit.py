"""Fitted scales and zeros: never worse than minimum and maximum, and the same on every device."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from prodtop.engine.precision import int4_fit
from prodtop.engine.precision.int4_fit import fit_int4
from prodtop.engine.precision.quantize import Int4Weight, quantize_int4
from torch import Tensor

GROUPS = (32, 64, 128)
KINDS = ("normal", "laplace", "student", "uniform", "two values", "outlier", "offset", "constant")


def squared_errors(weight: Tensor, rounded: Int4Weight, group: int) -> Tensor:
    """fp64 `[rows, groups]`, of what is stored."""
    exact = weight.double().view(weight.shape[0], -1, group)
    q = (rounded.q.double() - 8).view_as(exact)
    stored = q * rounded.scale.double().unsqueeze(-1) + rounded.zero.double().unsqueeze(-1)
    return (stored - exact).square().sum(-1)


def drawn(kind: str, seed: int, rows: int, columns: int) -> Tensor:
    """fp32 `[rows, columns]` of one of `KINDS`."""
    values = drawn_values(kind, np.random.default_rng(seed), (rows, columns))
    return torch.from_numpy(values.astype(np.float32))


def drawn_values(
    kind: str, generator: np.random.Generator, shape: tuple[int, int]
) -> NDArray[np.float64]:
    normal = generator.normal(size=shape)
    match kind:
        case "laplace":
            return generator.laplace(size=shape)
        case "student":
            return generator.standard_t(2, size=shape)
        case "uniform":
            return generator.uniform(-1, 1, size=shape)
        case "two values":
            return 0.7 - 1.7 * (normal > 0).astype(np.float64)
        case "outlier":
            return np.where(generator.uniform(size=shape) < 0.01, 50, 1) * normal
        case "offset":
            return normal + math.pow(10.0, generator.uniform(-1, 4))
        case "constant":
            return np.full(shape, normal[0, 0])
        case _:
            return normal


def assert_never_worse(weight: Tensor, group: int) -> None:
    fitted = squared_errors(weight, fit_int4(weight, group, torch.bfloat16), group)
    ranged = squared_errors(weight, quantize_int4(weight, group, torch.bfloat16), group)
    assert (fitted <= ranged * (1 + 1e-9)).all()


@settings(deadline=None, max_examples=120)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    group=st.sampled_from(GROUPS),
    exponent=st.integers(-30, 30),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_no_group_is_worse_than_by_its_range(
    kind: str, seed: int, group: int, exponent: int, dtype: torch.dtype
) -> None:
    weight = drawn(kind, seed, 8, 2 * group) * 10.0**exponent
    assert_never_worse(weight.to(dtype), group)


@settings(deadline=None, max_examples=120)
@given(
    weight=arrays.arrays(
        np.float32,
        (2, 64),
        elements=st.one_of(
            st.floats(-1, 1, width=32), st.floats(-(2.0**100), 2.0**100, width=32), st.just(0.0)
        ),
        fill=st.floats(-1, 1, width=32),
    )
)
def test_no_group_of_odd_weights_is_worse(weight: NDArray[np.float32]) -> None:
    assert_never_worse(torch.from_numpy(weight), 32)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    ("kind", "least_db"), [("normal", 0.35), ("laplace", 0.35), ("student", 0.3), ("uniform", 0.02)]
)
def test_the_error_of_ordinary_weights_is_smaller(kind: str, least_db: float, group: int) -> None:
    weight = drawn(kind, 1, 64, 8 * group)
    fitted = squared_errors(weight, fit_int4(weight, group, torch.bfloat16), group).sum()
    ranged = squared_errors(weight, quantize_int4(weight, group, torch.bfloat16), group).sum()
    assert 10 * torch.log10(ranged / fitted) > least_db


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    group=st.sampled_from(GROUPS),
)
def test_sums_do_not_depend_on_their_order(kind: str, seed: int, group: int) -> None:
    """What a GPU adds up in another order comes out the same to the last bit."""
    weight = drawn(kind, seed, 4, 2 * group)
    order = torch.randperm(group, generator=torch.Generator().manual_seed(seed % 1000))
    shuffled = weight.view(4, 2, group)[..., order].reshape(4, -1)
    first = fit_int4(weight, group, torch.bfloat16)
    second = fit_int4(shuffled, group, torch.bfloat16)
    assert torch.equal(first.scale, second.scale)
    assert torch.equal(first.zero, second.zero)
    assert torch.equal(first.q.view(4, 2, group)[..., order].reshape(4, -1), second.q)


def test_how_much_is_fitted_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = drawn("laplace", 3, 37, 192).bfloat16()
    whole = fit_int4(weight, 64, torch.bfloat16)
    monkeypatch.setattr(int4_fit, "_CPU_ELEMENTS", 1000)
    parts = fit_int4(weight, 64, torch.bfloat16)
    for name in ("q", "scale", "zero"):
        assert torch.equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_master_weight_is_left_alone(dtype: torch.dtype) -> None:
    weight = drawn("normal", 4, 16, 128).to(dtype)
    before = weight.clone()
    rounded = fit_int4(weight, 64, torch.bfloat16)
    assert torch.equal(weight, before)
    assert int(rounded.q.min()) >= 0
    assert int(rounded.q.max()) <= 15
    for kept in (rounded.scale, rounded.zero):
        assert torch.equal(kept, kept.bfloat16().float()), "rounded to their storage first"


def test_what_int4_can_represent_stays_exact() -> None:
    q = torch.arange(64).remainder(16).repeat(3, 2)
    weight = (q.float() - 8) * 0.25 + 0.5
    rounded = fit_int4(weight, 64, torch.bfloat16)
    assert not squared_errors(weight, rounded, 64).any()
    assert torch.equal(rounded.q, q.int())


@pytest.mark.gpu
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same_values(kind: str, group: int) -> None:
    weight = drawn(kind, 5, 512, 16 * group).bfloat16()
    on_cpu = fit_int4(weight, group, torch.bfloat16)
    on_gpu = fit_int4(weight.cuda(), group, torch.bfloat16)
    for name in ("q", "scale", "zero"):
        assert torch.equal(getattr(on_cpu, name), getattr(on_gpu, name).cpu())
