"""The skinny kernels against float64 products, in Triton's interpreter and on a GPU."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("triton")

from prodtop.engine.kernels.common.fragments import inputs_of_unit
from prodtop.engine.kernels.common.gpu_limits import HOPPER
from prodtop.engine.kernels.linear.skinny import SkinnyWeight, skinny_linear
from prodtop.engine.kernels.linear.skinny_plan import (
    DotPlan,
    MmaPlan,
    Plan,
    RowPlan,
    WeightFormat,
    most_units,
    plan_mma,
)
from prodtop.engine.precision.linear import Int4Linear
from prodtop.engine.precision.planes import pack_int8_planes
from prodtop.engine.precision.quantize import quantize_fp8, quantize_int4, quantize_int8
from prodtop.engine.shape.model_config import Activation

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FORMATS: list[WeightFormat] = ["dense", "int8", "int4", "fp8"]
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.to(DEVICE, dtype)


def packed(
    weight_format: WeightFormat, weight: Tensor, dtype: torch.dtype, group: int
) -> tuple[SkinnyWeight, Tensor]:
    """A weight in its format, and in float64 the values that it stands for."""
    if weight_format == "dense":
        dense = weight.to(dtype)
        return SkinnyWeight.dense(dense), dense.double()
    if weight_format == "int8":
        int8 = quantize_int8(weight, torch.bfloat16)
        words = pack_int8_planes(int8.q)
        values = int8.q.double() * int8.scale.double()[:, None]
        return SkinnyWeight.int8(words, int8.scale, weight.shape[1]), values
    if weight_format == "fp8":
        fp8 = quantize_fp8(weight)
        return SkinnyWeight.fp8(fp8.q, fp8.scale), fp8.q.double() * fp8.scale.double().T
    int4 = quantize_int4(weight, group, torch.bfloat16)
    layer = Int4Linear.from_quantized(int4, torch.bfloat16, None)
    q = (int4.q - 8).view(weight.shape[0], -1, group).double()
    values = q * int4.scale.double()[..., None] + int4.zero.double()[..., None]
    packed_weight = SkinnyWeight.int4(layer.packed, layer.scales_and_zeros, group, weight.shape[1])
    return packed_weight, values.flatten(1)


def rounded_to_e4m3(x: Tensor) -> Tensor:
    scale = (x.abs().amax(dim=-1, keepdim=True) / 448).clamp(min=1e-12)
    return (x / scale).to(torch.float8_e4m3fn).double() * scale.double()


def reference(
    x: Tensor,
    values: Tensor,
    weight_format: WeightFormat,
    norm: tuple[Tensor, float] | None,
    bias: Tensor | None,
    activation: Activation | None,
    residual: Tensor | None,
) -> Tensor:
    if norm is not None:
        x = F.rms_norm(x.float(), (x.shape[1],), norm[0].float(), norm[1])
    wide = rounded_to_e4m3(x.float()) if weight_format == "fp8" else x.double()
    y = wide @ values.T
    if bias is not None:
        y += bias.double()
    if activation is not None:
        gate, up = y.chunk(2, dim=-1)
        y = (
            up
            * {
                Activation.SILU: F.silu(gate),
                Activation.GELU: F.gelu(gate),
                Activation.GELU_TANH: F.gelu(gate, approximate="tanh"),
            }[activation]
        )
    return y if residual is None else y + residual.double()


def check(
    weight_format: WeightFormat,
    rows: int,
    features: int,
    inputs: int,
    *,
    dtype: torch.dtype = torch.bfloat16,
    group: int = 64,
    with_norm: bool = False,
    norm_dtype: torch.dtype | None = None,
    with_bias: bool = False,
    activation: Activation | None = None,
    with_residual: bool = False,
    plan: Plan | None = None,
    pdl: bool = False,
) -> None:
    x = random(rows, inputs, seed=1, dtype=dtype)
    weight, values = packed(weight_format, random(features, inputs) / inputs**0.5, dtype, group)
    norm = (random(inputs, seed=2, dtype=norm_dtype or dtype), 1e-5) if with_norm else None
    bias = random(features, seed=3, dtype=dtype) if with_bias else None
    width = features if activation is None else features // 2
    residual = random(rows, width, seed=4, dtype=dtype) if with_residual else None
    expected = reference(x, values, weight_format, norm, bias, activation, residual)
    out = torch.full((rows, width), torch.nan, dtype=dtype, device=DEVICE)
    if residual is not None:
        out = residual
    y = skinny_linear(
        x,
        weight,
        norm=norm,
        bias=bias,
        activation=activation,
        residual=residual,
        out=out,
        plan=plan,
        pdl=pdl,
    )
    tolerance = TOLERANCES[dtype]
    if weight_format == "fp8" and with_norm:
        tolerance = 0.06  # a normalized activation between two e4m3 values may become either
    # Products are of order one; few of them may all be small, after rounding terms that are not.
    error = (y.double() - expected).norm() / (expected.norm() + expected.numel() ** 0.5)
    assert error < tolerance, f"relative error {error}"


@st.composite
def cases(draw: st.DrawFn) -> dict[str, object]:
    weight_format = draw(st.sampled_from(FORMATS))
    activation = draw(st.sampled_from([None, None, *Activation]))
    inputs = draw(st.sampled_from([32, 96, 160, 320, 512]))
    return {
        "weight_format": weight_format,
        "rows": draw(st.integers(1, 16)),
        "features": 2 * draw(st.integers(1, 40)),
        "inputs": inputs,
        "group": draw(st.sampled_from([g for g in (32, 64, 128, 256) if inputs % g == 0])),
        "dtype": draw(st.sampled_from([torch.bfloat16, torch.float16, torch.float32])),
        "with_norm": draw(st.booleans()),
        "with_bias": draw(st.booleans()),
        "activation": activation,
        "with_residual": draw(st.booleans()),
    }


@settings(deadline=None, max_examples=40)
@given(case=cases())
def test_any_shape_with_anything_fused_is_the_product(case: dict[str, object]) -> None:
    check(**case)  # type: ignore[arg-type]  # drawn to fit


@pytest.mark.parametrize("weight_format", FORMATS)
@pytest.mark.parametrize("rows", [1, 2, 7, 16])
def test_the_norm_and_what_follows_are_fused_for_every_format(
    weight_format: WeightFormat, rows: int
) -> None:
    check(weight_format, rows, 24, 512, with_norm=True, with_residual=True)
    check(weight_format, rows, 20, 320, with_norm=True, activation=Activation.SILU)


@pytest.mark.parametrize(
    "plan",
    [
        RowPlan(block_n=4, warps=4, waves=1, depth=3, early=True),
        DotPlan(16, 64, splits=2, warps=2, stages=3),
    ],
)
def test_a_plan_changes_the_launch_and_not_the_product(plan: Plan) -> None:
    check("dense", 1, 40, 256, with_norm=True, activation=Activation.GELU, plan=plan)


PACKED: list[tuple[WeightFormat, int]] = [("int8", 8), ("fp8", 8), ("int4", 4)]


@pytest.mark.parametrize(("weight_format", "units"), PACKED)
def test_one_row_by_a_packed_weight_in_one_section(weight_format: WeightFormat, units: int) -> None:
    plan = MmaPlan(warps=2, units=units, waves=1)
    check(weight_format, 1, 32, 1024, with_norm=True, with_residual=True, plan=plan)
    check(weight_format, 1, 48, 1024, with_bias=True, activation=Activation.SILU, plan=plan)


@pytest.mark.parametrize(("weight_format", "units"), PACKED)
@pytest.mark.parametrize("depth", [1, 3])
def test_one_row_by_a_packed_weight_in_sections(
    weight_format: WeightFormat, units: int, depth: int
) -> None:
    plan = MmaPlan(warps=2, units=units // 2, waves=1, depth=depth, early=True)
    check(weight_format, 1, 32, 1536, with_bias=True, with_residual=True, plan=plan)
    check(weight_format, 1, 32, 1536, with_norm=True, activation=Activation.GELU, plan=plan)


@pytest.mark.parametrize("plan", [MmaPlan(2, 4, waves=1), MmaPlan(2, 2, waves=1), None])
def test_a_norm_of_wider_weights_is_applied_whatever_the_plan(plan: MmaPlan | None) -> None:
    """Gemma's are fp32, since 1 was added to them."""
    check("int8", 1, 32, 512, with_norm=True, norm_dtype=torch.float32, plan=plan)


@pytest.mark.parametrize("group", [32, 128, 256])
def test_groups_of_any_size_have_columns_of_their_own(group: int) -> None:
    check("int4", 1, 32, 512, group=group, with_norm=True, plan=MmaPlan(2, 2, waves=1))


def test_programs_take_turns_where_there_are_more_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(HOPPER, multiprocessors=3)
    monkeypatch.setattr("prodtop.engine.kernels.linear.skinny.gpu_limits", lambda device: few)
    for depth in (1, 2):
        check("int8", 1, 80, 256, with_bias=True, plan=MmaPlan(1, 2, waves=1, depth=depth))


@pytest.mark.parametrize(
    ("rows", "features", "dtype"),
    [(2, 32, torch.bfloat16), (1, 24, torch.bfloat16), (1, 32, torch.float16)],
)
def test_what_a_mma_plan_is_not_for_is_refused(
    rows: int, features: int, dtype: torch.dtype
) -> None:
    with pytest.raises(ValueError, match="is not for"):
        check("int8", rows, features, 256, dtype=dtype, plan=MmaPlan(2, 2, waves=1))


@pytest.mark.parametrize("weight_format", ["int8", "fp8", "int4"])
@pytest.mark.parametrize("inputs", [1024, 1536, 2048, 3072, 4096, 8192, 11008, 14336, 28672])
@pytest.mark.parametrize("group", [32, 64, 128])
def test_a_plan_of_one_row_cuts_the_inputs_evenly(
    weight_format: WeightFormat, inputs: int, group: int
) -> None:
    plan = plan_mma(weight_format, 4096, inputs, group, HOPPER.multiprocessors)
    if plan is not None:
        assert (
            plan.sections(weight_format, inputs)
            * plan.warps
            * plan.units
            * (inputs_of_unit(weight_format))
            == inputs
        )
        assert plan.units <= most_units(weight_format, group)


@pytest.mark.parametrize(
    ("weight_format", "rows"), [("dense", 2), ("int8", 1), ("int4", 1), ("fp8", 1)]
)
def test_a_row_plan_is_for_one_row_by_a_dense_weight(
    weight_format: WeightFormat, rows: int
) -> None:
    with pytest.raises(ValueError, match="one row by dense"):
        check(weight_format, rows, 16, 64, plan=RowPlan(block_n=4, warps=4, waves=1))


def test_a_packed_weight_of_another_size_is_refused() -> None:
    words = torch.zeros(8, 64, dtype=torch.int16)
    with pytest.raises(ValueError, match="for 256 inputs"):
        SkinnyWeight.int8(words, torch.ones(8), 256)
    with pytest.raises(ValueError, match="for 4 groups"):
        SkinnyWeight.int4(words.view(2, 8, 32), torch.ones(2, 8, 2), 64, 256)


def test_more_rows_than_sixteen_are_refused() -> None:
    with pytest.raises(ValueError, match="activations"):
        check("dense", 17, 16, 64)


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 4, 16])
@pytest.mark.parametrize("weight_format", FORMATS)
def test_a_large_model_s_layers_on_a_gpu(weight_format: WeightFormat, rows: int) -> None:
    for pdl in (False, True):
        check(weight_format, rows, 6144, 4096, with_norm=True, with_bias=True, pdl=pdl)
        check(weight_format, rows, 4096, 4096, with_residual=True, pdl=pdl)
        check(weight_format, rows, 28672, 4096, with_norm=True, activation=Activation.SILU, pdl=pdl)
        check(weight_format, rows, 4096, 14336, with_residual=True, pdl=pdl)
