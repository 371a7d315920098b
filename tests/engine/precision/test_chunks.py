"""Quantizing some rows at a time gives the bits of quantizing all of them."""

import pytest
import torch
from prodtop.engine.precision import chunks
from prodtop.engine.precision.int4_fit import fit_int4
from prodtop.engine.precision.linear import Int4Linear
from prodtop.engine.precision.quantize import quantize_fp8, quantize_int8
from torch import Tensor

SHAPES = [(1, 64), (5, 128), (37, 192), (16, 320)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ELEMENTS", 1000)


def weight(rows: int, inputs: int) -> Tensor:
    values = torch.randn(rows, inputs, generator=torch.Generator().manual_seed(rows))
    return values.to(torch.bfloat16)


@pytest.mark.parametrize(("rows", "inputs"), SHAPES)
def test_int8(rows: int, inputs: int) -> None:
    whole = quantize_int8(weight(rows, inputs), torch.bfloat16)
    layer = chunks.int8_layer(weight(rows, inputs), None, torch.bfloat16)
    assert torch.equal(layer.values(), whole.q)
    assert torch.equal(layer.scale, whole.scale)


@pytest.mark.parametrize("group", [32, 64])
@pytest.mark.parametrize(("rows", "inputs"), SHAPES)
def test_int4(rows: int, inputs: int, group: int) -> None:
    quantized = fit_int4(weight(rows, inputs), group, torch.bfloat16)
    whole = Int4Linear.from_quantized(quantized, torch.bfloat16, None)
    layer = chunks.int4_layer(weight(rows, inputs), group, None, torch.bfloat16)
    assert torch.equal(layer.packed, whole.packed)
    assert torch.equal(layer.scales_and_zeros, whole.scales_and_zeros)
    assert (layer.group, layer.inputs) == (group, inputs)


@pytest.mark.parametrize(("rows", "inputs"), SHAPES)
def test_fp8(rows: int, inputs: int) -> None:
    whole = quantize_fp8(weight(rows, inputs))
    layer = chunks.fp8_layer(weight(rows, inputs), None)
    assert torch.equal(layer.q.view(torch.uint8), whole.q.view(torch.uint8))
    assert torch.equal(layer.scale, whole.scale)
