"""Models that this machine has no memory for are refused before they take any."""

from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
import torch
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.model.weight_memory import (
    check_model_fits,
    check_switch_fits,
    packed_bytes,
    stored_bytes,
)
from prodtop.engine.precision.linear import storage_bytes
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import BadInputError, PrecisionUnavailableError
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.parts import Int4Form, Int4Method, StoredForm
from prodtop.engine.shape.presets import PRESETS

CPU = torch.device("cpu")
CPU_PRECISIONS = [name for name in PrecisionName if name is not PrecisionName.FP8]
GIB = 2**30
LLAMA_8B = PRESETS["llama-3.1-8b"]
AWQ = StoredForm(int4=Int4Form(Int4Method.AWQ, 128))
SMALL = ModelShape(
    vocabulary=512,
    hidden=256,
    intermediate=512,
    layers=3,
    heads=4,
    kv_heads=2,
    head_dim=64,
    context_tokens=128,
)


def free_memory(monkeypatch: pytest.MonkeyPatch, free_bytes: float) -> None:
    memory = SimpleNamespace(available=free_bytes)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.mark.parametrize("stored", [StoredForm(), AWQ], ids=["bf16", "int4"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_a_little_less_is_expected_than_a_decoder_then_takes(
    precision: PrecisionName, tied: bool, stored: StoredForm
) -> None:
    config = replace(SMALL, tied_embeddings=tied, stored=stored)
    master = dummy_weights(config, torch.bfloat16)
    decoder = Decoder(master, precision, CPU, 128)
    projections = [t for layer in decoder.layers for p in layer.projections() for t in p.tensors()]
    embedding = [] if decoder.embedding is master.embedding else [decoder.embedding]
    held = storage_bytes(master.tensors())
    taken = storage_bytes([*projections, *decoder.head.tensors(), *embedding])
    assert 0.85 * taken < packed_bytes(config, precision) <= taken
    assert stored_bytes(config) == held


@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_a_model_is_refused_from_the_byte_on_that_is_missing(
    precision: PrecisionName, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = stored_bytes(LLAMA_8B) + packed_bytes(LLAMA_8B, precision)
    free_memory(monkeypatch, needed)
    check_model_fits("llama", LLAMA_8B, precision, CPU)
    free_memory(monkeypatch, needed - 1)
    with pytest.raises(BadInputError, match=f"llama at {precision} takes .* GiB .* are free"):
        check_model_fits("llama", LLAMA_8B, precision, CPU)


def test_a_switch_counts_what_it_frees(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = int(packed_bytes(LLAMA_8B, PrecisionName.FP32))
    free_memory(monkeypatch, 5 * GIB)
    check_switch_fits(LLAMA_8B, PrecisionName.FP32, CPU, needed - 5 * GIB)
    with pytest.raises(PrecisionUnavailableError, match=r"fp32 takes 29\.9 GiB"):
        check_switch_fits(LLAMA_8B, PrecisionName.FP32, CPU, needed - 6 * GIB)
    check_switch_fits(LLAMA_8B, PrecisionName.FP32, torch.device("cuda"), 0)
