"""Every level's layer against a float64 product, and the packed kernels against plain ones."""

import numpy as np
import pytest
import torch
from prodtop.engine.precision.int4_fit import fit_int4
from prodtop.engine.precision.int4_rounding import int4_group
from prodtop.engine.precision.levels import base_dtype, pack, unavailable_reason
from prodtop.engine.precision.linear import (
    CpuInt4Linear,
    CpuInt8Linear,
    Int4Linear,
    Int8Linear,
    Linear,
    UpcastLinear,
    storage_bytes,
)
from prodtop.engine.precision.projection import Projection
from prodtop.engine.protocol import PrecisionName
from torch import Tensor

CPU = torch.device("cpu")
ROWS = [1, 3, 16, 17, 64]
TOLERANCES = {
    PrecisionName.FP32: 1e-6,
    PrecisionName.BF16: 0.005,
    PrecisionName.FP16: 0.001,
    PrecisionName.INT8: 0.015,
    PrecisionName.INT4: 0.12,
    PrecisionName.FP8: 0.06,
}
"""Relative errors, in the Frobenius norm, of a product with normally distributed weights."""


def projection(rows: int, columns: int, *, bias: bool, seed: int = 0) -> Projection:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator) * columns**-0.5
    return Projection(weight, torch.randn(rows, generator=generator) if bias else None)


def inputs(rows: int, columns: int, dtype: torch.dtype, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator).to(dtype)


def exact_product(x: Tensor, master: Projection) -> np.typing.NDArray[np.float64]:
    """`x Wᵀ + b` in float64, by numpy."""
    product: np.typing.NDArray[np.float64] = (
        x.double().cpu().numpy() @ master.weight.double().numpy().T
    )
    return product if master.bias is None else product + master.bias.double().numpy()


def relative_error(ours: Tensor, exact: np.typing.NDArray[np.float64]) -> float:
    difference = ours.double().cpu().numpy() - exact
    return float(np.linalg.norm(difference) / np.linalg.norm(exact))


def assert_same(first: Tensor, second: Tensor) -> None:
    """Equal but for the order and the intermediate roundings of a bf16 product."""
    assert first.shape == second.shape
    assert first.dtype is second.dtype
    assert relative_error(first, second.double().numpy()) < 0.01


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("precision", [p for p in PrecisionName if p is not PrecisionName.FP8])
def test_each_level_multiplies_as_exactly_as_it_stores(
    precision: PrecisionName, rows: int, bias: bool
) -> None:
    master = projection(96, 128, bias=bias)
    layer = pack(master, precision, CPU)
    x = inputs(rows, 128, base_dtype(precision))
    y = layer(x)
    assert y.shape == (rows, 96)
    assert y.dtype is base_dtype(precision)
    assert relative_error(y, exact_product(x, master)) < TOLERANCES[precision]


@pytest.mark.parametrize(
    ("precision", "least"), [(PrecisionName.INT8, 0.003), (PrecisionName.INT4, 0.05)]
)
def test_quantized_levels_really_round(precision: PrecisionName, least: float) -> None:
    master = projection(96, 128, bias=False)
    x = inputs(16, 128, torch.bfloat16)
    y = pack(master, precision, CPU)(x)
    assert relative_error(y, exact_product(x, master)) > least


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", ROWS)
def test_the_packed_int8_kernel_agrees_with_the_plain_product(rows: int, bias: bool) -> None:
    packed = pack(projection(48, 96, bias=bias), PrecisionName.INT8, CPU)
    assert isinstance(packed, CpuInt8Linear)
    plain = Int8Linear(packed.q, packed.scale, packed.bias)
    x = inputs(rows, 96, torch.bfloat16)
    assert_same(packed(x), plain(x))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("columns", [96, 128])
def test_the_packed_int4_kernel_agrees_with_the_plain_product(
    columns: int, rows: int, bias: bool
) -> None:
    master = projection(48, columns, bias=bias)
    packed = pack(master, PrecisionName.INT4, CPU)
    assert isinstance(packed, CpuInt4Linear)
    quantized = fit_int4(master.weight, int4_group(columns), torch.bfloat16)
    plain = Int4Linear.from_quantized(quantized, torch.bfloat16, packed.bias)
    x = inputs(rows, columns, torch.bfloat16)
    assert_same(packed(x), plain(x))


@pytest.mark.parametrize(
    ("rows", "columns"), [(5, 7), (3, 24), (17, 40), (16, 8), (1, 1), (7, 33), (4, 48), (1, 32)]
)
@pytest.mark.parametrize("batch", [1, 5, 20])
def test_int8_takes_layers_of_any_shape(rows: int, columns: int, batch: int) -> None:
    """torch's packed kernel reads past the end of rows that are no whole number of vectors."""
    master = projection(rows, columns, bias=True)
    layer = pack(master, PrecisionName.INT8, CPU)
    x = inputs(batch, columns, torch.bfloat16)
    assert relative_error(layer(x), exact_product(x, master)) < 0.03


@pytest.mark.parametrize("rows", [1, 5, 17, 40])
def test_int4_takes_layers_of_any_number_of_outputs(rows: int) -> None:
    master = projection(rows, 64, bias=True)
    layer = pack(master, PrecisionName.INT4, CPU)
    assert isinstance(layer, Int4Linear)
    x = inputs(4, 64, torch.bfloat16)
    assert relative_error(layer(x), exact_product(x, master)) < 0.2


@pytest.mark.parametrize(("columns", "group"), [(128, 64), (96, 32), (192, 64), (256, 128)])
def test_int4_dequantizes_to_the_values_it_was_rounded_to(columns: int, group: int) -> None:
    weight = projection(6, columns, bias=False).weight
    quantized = fit_int4(weight, group, torch.bfloat16)
    layer = Int4Linear.from_quantized(quantized, torch.float32, None)
    grouped = (quantized.q.numpy() - 8).reshape(6, -1, group).astype(np.float64)
    scale, zero = quantized.scale.numpy()[..., None], quantized.zero.numpy()[..., None]
    expected = (grouped * scale + zero).reshape(6, columns)
    np.testing.assert_allclose(layer.dequantize(torch.float32).numpy(), expected, atol=1e-6)


def test_fp16_is_the_same_whether_one_row_or_many() -> None:
    layer = pack(projection(32, 64, bias=True), PrecisionName.FP16, CPU)
    assert isinstance(layer, UpcastLinear)
    x = inputs(4, 64, torch.float16)
    one_by_one = torch.cat([layer(row.unsqueeze(0)) for row in x])
    torch.testing.assert_close(layer(x), one_by_one, rtol=2e-3, atol=2e-3)


def test_fp16_sums_do_not_overflow_on_the_way() -> None:
    """Partial sums beyond fp16's largest value, 65504, whose end is small again."""
    weight = torch.full((1, 64), 200.0)
    weight[0, 32:] = -200.0
    layer = pack(Projection(weight), PrecisionName.FP16, CPU)
    x = torch.full((1, 64), 200.0, dtype=torch.float16)
    assert layer(x).item() == 0
    assert not layer(x.expand(3, -1)).any()


@pytest.mark.parametrize(
    ("precision", "share"), [(PrecisionName.INT8, 0.30), (PrecisionName.INT4, 0.20)]
)
@pytest.mark.parametrize("bias", [False, True])
def test_packed_layers_take_their_share_of_fp32s_bytes(
    precision: PrecisionName, share: float, bias: bool
) -> None:
    master = projection(256, 256, bias=bias)
    full = storage_bytes(pack(master, PrecisionName.FP32, CPU).tensors())
    assert full == 4 * (256 * 256 + 256 * bias)
    assert storage_bytes(pack(master, precision, CPU).tensors()) <= share * full


def test_storage_is_what_counts_not_its_views() -> None:
    whole = torch.zeros(10, 10)
    assert storage_bytes([whole, whole[:5], whole.T]) == 400
    assert storage_bytes([whole[:1]]) == 400, "a view keeps all of its storage alive"
    assert storage_bytes([whole, torch.zeros(2, dtype=torch.int8)]) == 402
    assert storage_bytes([]) == 0


def cuda_layer(precision: PrecisionName, master: Projection) -> Linear:
    device = torch.device("cuda", 0)
    if (reason := unavailable_reason(precision, device)) is not None:
        pytest.skip(reason)
    return pack(master, precision, device)


@pytest.mark.gpu
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("precision", PrecisionName)
def test_each_level_on_cuda_multiplies_as_exactly_as_it_stores(
    precision: PrecisionName, rows: int, bias: bool
) -> None:
    master = projection(96, 128, bias=bias)
    layer = cuda_layer(precision, master)
    x = inputs(rows, 128, base_dtype(precision)).cuda()
    y = layer(x)
    assert y.device.type == "cuda"
    assert y.dtype is base_dtype(precision)
    tolerance = max(TOLERANCES[precision], 1e-5)
    assert relative_error(y, exact_product(x, master)) < tolerance


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "share"),
    [(PrecisionName.INT8, 0.30), (PrecisionName.INT4, 0.20), (PrecisionName.FP8, 0.30)],
)
def test_packed_layers_on_cuda_take_their_share_of_fp32s_bytes(
    precision: PrecisionName, share: float
) -> None:
    master = projection(256, 256, bias=False)
    layer = cuda_layer(precision, master)
    assert all(tensor.device.type == "cuda" for tensor in layer.tensors())
    assert storage_bytes(layer.tensors()) <= share * 4 * 256 * 256
