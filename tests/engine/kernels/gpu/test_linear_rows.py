"""A layer of each level for many rows, against its own plain product."""

import pytest
import torch
from prodtop.engine.kernels.gpu import linear as rows_linear
from prodtop.engine.kernels.gpu.linear import linear, reserve_for
from prodtop.engine.kernels.gpu.workspace import workspace
from prodtop.engine.precision.chunks import fp8_layer, int4_layer, int8_layer
from prodtop.engine.precision.linear import CpuInt8Linear, DenseLinear, Linear
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float16
FEATURES, INPUTS = 24, 192


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


@pytest.fixture(params=["packed", "unpacked"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = 1 if request.param == "unpacked" else 1 << 20
    monkeypatch.setattr(rows_linear, "UNPACK_FROM_ROWS", {"int8": first, "int4": first})


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize(
    "level", ["dense", "int8", "int4", pytest.param("fp8", marks=pytest.mark.gpu)]
)
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("has_residual", [False, True])
def test_it_is_the_layers_own_product(level: str, has_bias: bool, has_residual: bool) -> None:
    bias = random(FEATURES, seed=2) if has_bias else None
    layer = layer_of(level, bias)
    x, residual = random(17, INPUTS, seed=3), random(17, FEATURES, seed=4)
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


def test_room_for_the_largest_layer_is_kept() -> None:
    reserve_for([layer_of("int8", None), layer_of("dense", None)], DTYPE)
    first = workspace(DEVICE).dense(FEATURES, INPUTS, DTYPE)
    assert workspace(DEVICE).dense(FEATURES, INPUTS, DTYPE).data_ptr() == first.data_ptr()
