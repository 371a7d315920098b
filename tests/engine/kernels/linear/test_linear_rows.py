"""A layer of each level for any number of rows, against its own plain product."""

from typing import Never

import pytest
import torch
from prodtop.engine.kernels.common.gpu_limits import HOPPER, GpuLimits, gpu_limits
from prodtop.engine.kernels.linear import linear as rows_linear
from prodtop.engine.kernels.linear import prepare
from prodtop.engine.kernels.linear.dispatch import Dispatch, Kernel, Product, dispatch
from prodtop.engine.kernels.linear.fp8 import quantize_rows
from prodtop.engine.kernels.linear.linear import linear
from prodtop.engine.kernels.linear.prepare import reserve_unpacked
from prodtop.engine.kernels.linear.workspace import workspace
from prodtop.engine.precision.chunks import fp8_layer, int4_layer, int8_layer
from prodtop.engine.precision.linear import CpuInt8Linear, DenseLinear, Linear
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float16
FEATURES, INPUTS = 32, 192


def random(*shape: int, seed: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.to(torch.bfloat16).to(DEVICE, DTYPE)


def layer_of(level: str, bias: Tensor | None) -> Linear:
    weight = random(FEATURES, INPUTS, seed=1)
    match level:
        case "int8":
            return int8_layer(weight, bias, torch.bfloat16)
        case "int4":
            return int4_layer(weight, 64, bias, torch.bfloat16)
        case "fp8":
            return fp8_layer(weight, bias)
        case _:
            return DenseLinear(weight, bias)


@pytest.fixture(params=[Kernel.GEMM, Kernel.UNPACK], ids=["packed", "unpacked"])
def _kernel_of_packed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(product: Product, chip: GpuLimits) -> Dispatch:
        if request.param is Kernel.UNPACK and product.format in ("int8", "int4"):
            return Dispatch(Kernel.UNPACK)
        return dispatch(product, chip)

    monkeypatch.setattr(rows_linear, "dispatch", choose)


@pytest.mark.usefixtures("_kernel_of_packed")
@pytest.mark.parametrize(
    "level", ["dense", "int8", "int4", pytest.param("fp8", marks=pytest.mark.gpu)]
)
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("has_residual", [False, True])
@pytest.mark.parametrize("rows", [3, 17])
def test_it_is_the_layers_own_product(
    level: str, has_bias: bool, has_residual: bool, rows: int
) -> None:
    bias = random(FEATURES, seed=2) if has_bias else None
    layer = layer_of(level, bias)
    x, residual = random(rows, INPUTS, seed=3), random(rows, FEATURES, seed=4)
    plain = layer_of(level, None if bias is None else bias.to(torch.bfloat16))
    product = layer(x) if level == "dense" else plain(x.to(torch.bfloat16))
    expected = product.double() + (residual.double() if has_residual else 0)
    y = linear(x, layer, residual if has_residual else None)
    assert (y is residual) is has_residual
    assert float((y.double() - expected).norm() / expected.norm()) < 0.006


def test_a_layer_of_the_cpus_own_layout_is_refused() -> None:
    layer = CpuInt8Linear(torch.zeros(4, 32, dtype=torch.int8), torch.ones(4), None)
    with pytest.raises(TypeError, match="CpuInt8Linear has no GPU kernel"):
        linear(random(17, 32, seed=1), layer)


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [3, 40, 200, 2000])
@pytest.mark.parametrize("has_residual", [False, True])
def test_rows_may_have_been_rounded_before(rows: int, has_residual: bool) -> None:
    weight = random(384, 512, seed=1)
    layer = fp8_layer(weight, random(384, seed=2))
    x, residual = random(rows, 512, seed=3), random(rows, 384, seed=4)
    expected = layer(x).double() + (residual.double() if has_residual else 0)
    y = linear(quantize_rows(x), layer, residual if has_residual else None)
    assert (y is residual) is has_residual
    assert float((y.double() - expected).norm() / expected.norm()) < 0.006


def test_rounded_rows_are_for_fp8_layers_only() -> None:
    x = random(17, INPUTS, seed=1)
    with pytest.raises(TypeError, match="Int8PlanesLinear does not take fp8 rows"):
        linear((x, x[:, :1].float()), layer_of("int8", None))


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [48, 80])
def test_a_large_dense_weight_is_multiplied_either_way(rows: int) -> None:
    layer = DenseLinear(random(16384, 4096, seed=1) / 64, None)
    kernel = dispatch(Product("dense", rows, 16384, 4096), gpu_limits(DEVICE)).kernel
    assert kernel is (Kernel.GEMM if rows == 48 else Kernel.CUBLAS)
    x = random(rows, 4096, seed=2)
    expected = x.double() @ layer.weight.double().T
    assert float((linear(x, layer).double() - expected).norm() / expected.norm()) < 0.004


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [3, 24, 64, 200])
@pytest.mark.parametrize("level", ["dense", "int8", "int4", "fp8"])
def test_products_that_start_early_read_what_the_one_before_wrote(level: str, rows: int) -> None:
    weight = random(2048, 2048, seed=1) / 32
    layers: dict[str, Linear] = {
        "dense": DenseLinear(weight, None),
        "int8": int8_layer(weight, None, DTYPE),
        "int4": int4_layer(weight, 64, None, DTYPE),
        "fp8": fp8_layer(weight, None),
    }
    layer, start = layers[level], random(rows, 2048, seed=2)
    plain = early = start
    for _ in range(6):
        plain = linear(plain, layer)
        early = linear(early, layer, pdl=True)
    assert torch.equal(plain, early)


def test_a_residual_is_worth_a_slower_product_up_to_some_rows() -> None:
    def kernel(rows: int, has_residual: bool) -> Kernel:
        product = Product("fp8", rows, 28672, 4096, has_residual=has_residual)
        return dispatch(product, HOPPER).kernel

    assert kernel(128, has_residual=False) is Kernel.SCALED_MM
    assert kernel(128, has_residual=True) is Kernel.GEMM
    assert kernel(129, has_residual=True) is Kernel.SCALED_MM


def test_room_for_the_largest_layer_is_kept() -> None:
    layers = [layer_of("int8", None), layer_of("dense", None)]
    reserve_unpacked(layers, DTYPE, 4096)
    first = workspace(DEVICE).dense(FEATURES, INPUTS, DTYPE)
    assert workspace(DEVICE).dense(FEATURES, INPUTS, DTYPE).data_ptr() == first.data_ptr()


def test_no_room_is_kept_where_no_step_unpacks() -> None:
    def refuse(_: torch.device) -> Never:
        raise AssertionError("nothing to reserve")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "workspace", refuse)
        reserve_unpacked([layer_of("int8", None)], DTYPE, 4095)
