"""A dense weight out of packed words, against what the words were packed from."""

import pytest
import torch
from prodtop.engine.kernels.linear.dequantize import dequantize
from prodtop.engine.kernels.linear.weight import LayerWeight
from prodtop.engine.kernels.linear.workspace import workspace
from prodtop.engine.precision.linear import Int4Linear, Int8PlanesLinear
from prodtop.engine.precision.planes import pack_int8_planes
from prodtop.engine.precision.quantize import quantize_int4
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float16


def weight(features: int, inputs: int) -> Tensor:
    return torch.randn(features, inputs, generator=torch.Generator().manual_seed(1)).to(DEVICE)


@pytest.fixture(autouse=True)
def poisoned() -> None:
    """What is not written stays NaN."""
    shared = workspace(DEVICE)
    shared.reserve_dense(1 << 15, DTYPE)
    shared.dense(1, 1 << 15, DTYPE).fill_(float("nan"))


@pytest.mark.parametrize(("features", "inputs"), [(33, 128), (7, 384), (32, 200), (5, 96)])
def test_int8_comes_out_as_it_went_in(features: int, inputs: int) -> None:
    q = torch.randint(-127, 128, (features, inputs), dtype=torch.int8, device=DEVICE)
    scale = weight(features, 1).abs().flatten().to(torch.bfloat16)
    layer = Int8PlanesLinear(pack_int8_planes(q), scale, inputs, None)
    dense = dequantize(LayerWeight.of(layer), DTYPE)
    assert dense.shape == (features, inputs)
    assert torch.equal(dense, (q.float() * scale.float()[:, None]).to(DTYPE))


@pytest.mark.parametrize(
    ("features", "inputs", "group"),
    [(33, 128, 32), (7, 384, 64), (9, 512, 128), (32, 192, 64), (5, 96, 32), (6, 256, 256)],
)
def test_int4_comes_out_as_the_reference_dequantizes_it(
    features: int, inputs: int, group: int
) -> None:
    quantized = quantize_int4(weight(features, inputs), group, torch.bfloat16)
    layer = Int4Linear.from_quantized(quantized, torch.bfloat16, None)
    dense = dequantize(LayerWeight.of(layer), DTYPE)
    scale, zero = (
        part.repeat_interleave(group, dim=1) for part in (quantized.scale, quantized.zero)
    )
    exact = (quantized.q - 8).double() * scale.double() + zero.double()
    assert dense.shape == (features, inputs)
    assert torch.allclose(dense.double(), exact, rtol=2**-8, atol=0)
