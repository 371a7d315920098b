"""The gated MLP's middle against torch's, in Triton's interpreter or on the GPU."""

import pytest
import torch
import torch.nn.functional as F
from prodtop.engine.kernels.linear.gated import gated
from prodtop.engine.shape.parts import Activation
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def projection(rows: int, width: int, dtype: torch.dtype) -> Tensor:
    values = torch.randn(rows, 2 * width, generator=torch.Generator().manual_seed(rows)) * 4
    return values.to(DEVICE, dtype)


def exact(gate_up: Tensor, activation: Activation) -> Tensor:
    gate, up = gate_up.double().chunk(2, dim=1)
    act = F.silu(gate) if activation is Activation.SILU else F.gelu(gate, approximate="tanh")
    return act * up


def check(gate_up: Tensor, activation: Activation) -> None:
    out = gated(gate_up, activation)
    step = torch.finfo(out.dtype).eps
    expected = exact(gate_up, activation)
    torch.testing.assert_close(out.double(), expected, rtol=max(0.75 * step, 1e-5), atol=1e-5)


@pytest.mark.parametrize("activation", [Activation.SILU, Activation.GELU_TANH])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [1, 33, 64, 1500])
def test_gated(activation: Activation, dtype: torch.dtype, width: int) -> None:
    check(projection(2, width, dtype), activation)


@pytest.mark.parametrize("activation", [Activation.SILU, Activation.GELU_TANH])
def test_large_gates_neither_overflow_nor_turn_into_nan(activation: Activation) -> None:
    gate = torch.tensor([[-1e4, -100.0, 0.0, 100.0, 1e4]], device=DEVICE)
    out = gated(torch.cat((gate, torch.ones_like(gate)), dim=1), activation)
    torch.testing.assert_close(out, gate.clamp(min=0))


def test_the_exact_gelu_has_no_kernel() -> None:
    with pytest.raises(ValueError, match="exact GELU"):
        gated(projection(1, 8, torch.float32), Activation.GELU)


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 256, 3000])
@pytest.mark.parametrize("width", [3072, 14336])
def test_shapes_that_are_served(rows: int, width: int) -> None:
    check(projection(rows, width, torch.bfloat16), Activation.SILU)
