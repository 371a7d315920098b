"""Which matrices have descriptors, and that one which is kept keeps no weight in memory."""

import gc
import weakref

import pytest
import torch

pytest.importorskip("triton")

from prodtop.engine.kernels.common.tile_descriptors import tile_descriptor
from prodtop.engine.kernels.linear.linear import linear
from prodtop.engine.precision.chunks import int4_layer
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float16
META = torch.device("meta")


def wide(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """At an address of which only its distance from an allocation's counts."""
    return torch.empty(*shape, dtype=dtype, device=META)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (wide(3, 8), True),
        (wide(3, 12), False),
        (wide(3, 16, dtype=torch.float8_e4m3fn), True),
        (wide(3, 24, dtype=torch.float8_e4m3fn), False),
        (wide(2, 3, 32, dtype=torch.int16), True),
        (wide(3, 64)[:, 8:24], True),
        (wide(3, 64)[:, 4:20], False),
        (wide(3, 64)[1:], True),
        (wide(64, 64).t(), False),
        (wide(3, 64)[:, ::2], False),
    ],
)
def test_rows_must_begin_at_multiples_of_16_bytes(tensor: Tensor, expected: bool) -> None:
    assert (tile_descriptor(tensor, 64, 32) is not None) is expected


def test_blocks_of_rows_are_one_run_of_rows() -> None:
    found = tile_descriptor(wide(3, 40, 32, dtype=torch.int16), 64, 32)
    assert found is not None
    assert (found.shape, found.strides, found.block_shape) == ([120, 32], [32, 1], [64, 32])


def test_a_descriptor_is_made_once_for_each_tile_of_a_matrix() -> None:
    x = wide(40, 64)
    first = tile_descriptor(x, 64, 128)
    assert tile_descriptor(x, 64, 128) is first
    for other in (tile_descriptor(x, 32, 128), tile_descriptor(x[:17], 64, 128)):
        assert other is not first


@pytest.mark.parametrize("device", [DEVICE, META])
def test_a_descriptor_keeps_no_tensor(device: torch.device) -> None:
    weight = torch.empty(64, 128, dtype=torch.bfloat16, device=device)
    assert tile_descriptor(weight, 64, 128) is not None
    gone = weakref.ref(weight)
    del weight
    gc.collect()
    assert gone() is None


def test_a_layer_that_is_dropped_frees_its_weight() -> None:
    layer = int4_layer(torch.randn(32, 256, device=DEVICE).to(DTYPE), 64, None, torch.bfloat16)
    linear(torch.randn(17, 256, device=DEVICE).to(DTYPE), layer)
    kept = [weakref.ref(tensor) for tensor in layer.tensors()]
    assert all(reference() is not None for reference in kept)
    del layer
    gc.collect()
    assert all(reference() is None for reference in kept)
