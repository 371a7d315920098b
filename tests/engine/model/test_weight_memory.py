"""Models that this machine has no memory for are refused before they take any."""

from dataclasses import replace

import pytest
import torch
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.model.weight_memory import (
    check_switch_fits,
    packed_bytes,
    stored_bytes,
)
from prodtop.engine.precision.linear import storage_bytes
from prodtop.engine.probes.memory_limits import MemoryLimit
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import PrecisionUnavailableError
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


@pytest.mark.parametrize("device", [CPU, torch.device("cuda", 0)])
@pytest.mark.parametrize("precision", CPU_PRECISIONS)
def test_a_switch_counts_the_cache_and_what_it_frees(
    precision: PrecisionName, device: torch.device
) -> None:
    needed = int(packed_bytes(LLAMA_8B, precision)) + 2 * GIB
    limits = [MemoryLimit("the cgroup's limit", 5 * GIB), MemoryLimit("ulimit -v", 9 * GIB)]

    def check(freed_bytes: int) -> None:
        check_switch_fits(
            LLAMA_8B,
            precision,
            device,
            kv_bytes=2 * GIB,
            freed_bytes=freed_bytes,
            limits=limits,
        )

    check(needed - 5 * GIB)
    with pytest.raises(PrecisionUnavailableError) as caught:
        check(needed - 5 * GIB - 1)
    said = str(caught.value)
    assert f"{precision} weights" in said
    assert "KV cache 2.0" in said
    assert "the cgroup's limit leaves" in said
    assert "\n" not in said


def test_a_limit_that_is_not_known_refuses_nothing() -> None:
    check_switch_fits(LLAMA_8B, PrecisionName.FP32, CPU, kv_bytes=GIB, freed_bytes=0, limits=())
