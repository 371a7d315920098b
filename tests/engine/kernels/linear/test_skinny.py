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
from prodtop.engine.kernels.common.gpu_limits import HOPPER, gpu_limits
from prodtop.engine.kernels.linear.skinny import skinny_linear
from prodtop.engine.kernels.linear.skinny_launch import (
    GemvDenseLaunch,
    GemvPackedLaunch,
    SkinnyDotLaunch,
    SkinnyLaunch,
    gemv_dense_launch,
    gemv_packed_launch,
    most_units,
    skinny_dot_launch,
)
from prodtop.engine.kernels.linear.weight import LayerWeight, WeightFormat
from prodtop.engine.precision.linear import (
    DenseLinear,
    Fp8Linear,
    Int4Linear,
    Int8PlanesLinear,
    Linear,
)
from prodtop.engine.precision.planes import pack_int8_planes
from prodtop.engine.precision.quantize import quantize_fp8, quantize_int4, quantize_int8
from prodtop.engine.shape.parts import Activation

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
FORMATS: list[WeightFormat] = ["dense", "int8", "int4", "fp8"]
ROWS: list[tuple[WeightFormat, int]] = [
    *(("dense", rows) for rows in (1, 2, 7, 16)),
    *((packed, 1) for packed in FORMATS[1:]),
]
"""Packed weights for more rows go to other kernels."""
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.to(DEVICE, dtype)


def layer_of(
    weight_format: WeightFormat,
    weight: Tensor,
    dtype: torch.dtype,
    group: int,
    bias: Tensor | None,
) -> tuple[Linear, Tensor]:
    """A layer in its format, and in float64 the values that its weight stands for."""
    if weight_format == "dense":
        dense = weight.to(dtype)
        return DenseLinear(dense, bias), dense.double()
    if weight_format == "int8":
        int8 = quantize_int8(weight, torch.bfloat16)
        words = pack_int8_planes(int8.q)
        values = int8.q.double() * int8.scale.double()[:, None]
        return Int8PlanesLinear(words, int8.scale, weight.shape[1], bias), values
    if weight_format == "fp8":
        fp8 = quantize_fp8(weight)
        return Fp8Linear(fp8.q, fp8.scale, bias), fp8.q.double() * fp8.scale.double().T
    int4 = quantize_int4(weight, group, torch.bfloat16)
    layer = Int4Linear.from_quantized(int4, torch.bfloat16, bias)
    q = (int4.q - 8).view(weight.shape[0], -1, group).double()
    values = q * int4.scale.double()[..., None] + int4.zero.double()[..., None]
    return layer, values.flatten(1)


def launch_for(x: Tensor, weight: LayerWeight, gated: bool) -> SkinnyLaunch:
    """That of the kernel which such a product goes to, if no other was asked for."""
    features, inputs, group, chip = (
        weight.features,
        weight.inputs,
        weight.group,
        gpu_limits(x.device),
    )
    if weight.format == "dense" and x.shape[0] == 1:
        return gemv_dense_launch(features, inputs, gated)
    processors, size = chip.multiprocessors, x.element_size()
    if weight.format != "dense" and x.dtype is torch.bfloat16:
        packed = gemv_packed_launch(weight.format, features, inputs, group, processors)
        if packed is not None:
            return packed
    return skinny_dot_launch(weight.format, x.shape[0], features, inputs, group, size, chip)


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
    launch: SkinnyLaunch | None = None,
    pdl: bool = False,
) -> None:
    x = random(rows, inputs, seed=1, dtype=dtype)
    bias = random(features, seed=3, dtype=dtype) if with_bias else None
    plain = random(features, inputs) / inputs**0.5
    layer, values = layer_of(weight_format, plain, dtype, group, bias)
    weight = LayerWeight.of(layer)
    norm = (random(inputs, seed=2, dtype=norm_dtype or dtype), 1e-5) if with_norm else None
    width = features if activation is None else features // 2
    residual = random(rows, width, seed=4, dtype=dtype) if with_residual else None
    expected = reference(x, values, weight_format, norm, bias, activation, residual)
    out = torch.full((rows, width), torch.nan, dtype=dtype, device=DEVICE)
    if residual is not None:
        out = residual
    y = skinny_linear(
        x,
        weight,
        launch or launch_for(x, weight, activation is not None),
        norm=norm,
        activation=activation,
        residual=residual,
        out=out,
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
    activation = draw(st.sampled_from([None, None, Activation.SILU, Activation.GELU_TANH]))
    inputs = draw(st.sampled_from([32, 96, 160, 320, 512]))
    return {
        "weight_format": weight_format,
        "rows": draw(st.integers(1, 16)) if weight_format == "dense" else 1,
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


@pytest.mark.parametrize(("weight_format", "rows"), ROWS)
def test_the_norm_and_what_follows_are_fused_for_every_format(
    weight_format: WeightFormat, rows: int
) -> None:
    check(weight_format, rows, 24, 512, with_norm=True, with_residual=True)
    check(weight_format, rows, 20, 320, with_norm=True, activation=Activation.SILU)


@pytest.mark.parametrize(
    "launch",
    [
        GemvDenseLaunch(block_n=4, warps=4, programs=1, blocks_ahead=3, next_early=True),
        SkinnyDotLaunch(16, 64, splits=2, warps=2, stages=3),
    ],
)
def test_the_launch_does_not_change_the_product(launch: SkinnyLaunch) -> None:
    check("dense", 1, 40, 256, with_norm=True, activation=Activation.GELU_TANH, launch=launch)


PACKED: list[tuple[WeightFormat, int]] = [("int8", 8), ("fp8", 8), ("int4", 4)]


@pytest.mark.parametrize(("weight_format", "units"), PACKED)
def test_one_row_by_a_packed_weight_in_one_section(weight_format: WeightFormat, units: int) -> None:
    launch = GemvPackedLaunch(warps=2, units=units, programs=1)
    check(weight_format, 1, 32, 1024, with_norm=True, with_residual=True, launch=launch)
    check(weight_format, 1, 48, 1024, with_bias=True, activation=Activation.SILU, launch=launch)


@pytest.mark.parametrize(("weight_format", "units"), PACKED)
@pytest.mark.parametrize("depth", [1, 3])
def test_one_row_by_a_packed_weight_in_sections(
    weight_format: WeightFormat, units: int, depth: int
) -> None:
    launch = GemvPackedLaunch(2, units // 2, 1, sections_ahead=depth, next_early=True)
    check(weight_format, 1, 32, 1536, with_bias=True, with_residual=True, launch=launch)
    check(
        weight_format, 1, 32, 1536, with_norm=True, activation=Activation.GELU_TANH, launch=launch
    )


@pytest.mark.parametrize("launch", [GemvPackedLaunch(2, 4, 1), GemvPackedLaunch(2, 2, 1), None])
def test_a_norm_of_wider_weights_is_applied_whatever_the_launch(
    launch: GemvPackedLaunch | None,
) -> None:
    """Gemma's are fp32, since 1 was added to them."""
    check("int8", 1, 32, 512, with_norm=True, norm_dtype=torch.float32, launch=launch)


@pytest.mark.parametrize("group", [32, 128, 256])
def test_groups_of_any_size_have_columns_of_their_own(group: int) -> None:
    check(
        "int4", 1, 32, 512, group=group, with_norm=True, launch=GemvPackedLaunch(2, 2, programs=1)
    )


def test_programs_take_turns_where_there_are_more_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(HOPPER, multiprocessors=3)
    monkeypatch.setattr("prodtop.engine.kernels.linear.skinny.gpu_limits", lambda device: few)
    for depth in (1, 2):
        launch = GemvPackedLaunch(1, 2, programs=1, sections_ahead=depth)
        check("int8", 1, 80, 256, with_bias=True, launch=launch)


@pytest.mark.parametrize(
    ("rows", "features", "dtype"),
    [(2, 32, torch.bfloat16), (1, 24, torch.bfloat16), (1, 32, torch.float16)],
)
def test_what_the_packed_gemv_is_not_for_is_refused(
    rows: int, features: int, dtype: torch.dtype
) -> None:
    with pytest.raises(ValueError, match="is not for"):
        check("int8", rows, features, 256, dtype=dtype, launch=GemvPackedLaunch(2, 2, programs=1))


NOT_CUT_EVENLY = {
    *((weight_format, 11008, group) for weight_format in FORMATS for group in (32, 64, 128)),
    *(("int4", inputs, 32) for inputs in (1536, 3072, 4096, 8192, 14336, 28672)),
}
"""Format, inputs and group: such a row goes to `skinny_dot_kernel`."""


@pytest.mark.parametrize("weight_format", ["int8", "fp8", "int4"])
@pytest.mark.parametrize("inputs", [1024, 1536, 2048, 3072, 4096, 8192, 11008, 14336, 28672])
@pytest.mark.parametrize("group", [32, 64, 128])
def test_a_launch_for_one_row_cuts_the_inputs_evenly(
    weight_format: WeightFormat, inputs: int, group: int
) -> None:
    launch = gemv_packed_launch(weight_format, 4096, inputs, group, HOPPER.multiprocessors)
    if (weight_format, inputs, group) in NOT_CUT_EVENLY:
        assert launch is None
        return
    assert launch is not None
    sections = launch.sections(weight_format, inputs)
    assert sections * launch.warps * launch.units * inputs_of_unit(weight_format) == inputs
    assert launch.units <= most_units(weight_format, group)


@pytest.mark.parametrize(
    ("weight_format", "rows"), [("dense", 2), ("int8", 1), ("int4", 1), ("fp8", 1)]
)
def test_the_dense_gemv_is_for_one_row_by_a_dense_weight(
    weight_format: WeightFormat, rows: int
) -> None:
    with pytest.raises(ValueError, match="one row by dense"):
        check(weight_format, rows, 16, 64, launch=GemvDenseLaunch(block_n=4, warps=4, programs=1))


@pytest.mark.parametrize("weight_format", ["int8", "int4", "fp8"])
def test_more_rows_than_one_by_a_packed_weight_are_refused(weight_format: WeightFormat) -> None:
    with pytest.raises(ValueError, match="is not for 2 rows"):
        check(weight_format, 2, 32, 256)


def test_the_exact_gelu_is_refused() -> None:
    x, layer = random(1, 64, seed=1), DenseLinear(random(32, 64, seed=2), None)
    launch = gemv_dense_launch(32, 64, gated=True)
    with pytest.raises(ValueError, match="exact GELU"):
        skinny_linear(x, LayerWeight.of(layer), launch, activation=Activation.GELU)


def test_more_rows_than_sixteen_are_refused() -> None:
    with pytest.raises(ValueError, match="activations"):
        check("dense", 17, 16, 64)


@pytest.mark.gpu
@pytest.mark.parametrize(("weight_format", "rows"), ROWS)
def test_a_large_model_s_layers_on_a_gpu(weight_format: WeightFormat, rows: int) -> None:
    for pdl in (False, True):
        check(weight_format, rows, 6144, 4096, with_norm=True, with_bias=True, pdl=pdl)
        check(weight_format, rows, 4096, 4096, with_residual=True, pdl=pdl)
        check(weight_format, rows, 28672, 4096, with_norm=True, activation=Activation.SILU, pdl=pdl)
        check(weight_format, rows, 4096, 14336, with_residual=True, pdl=pdl)
