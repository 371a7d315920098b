"""Architectures through the kernels of a GPU, which Triton's interpreter runs here: slowly."""

import random
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES, write_model
from checkpoints import VOCABULARY, peer_logits
from paged_logits import assert_close, paged_logits
from prodtop.engine.model.checkpoint import load_weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.shape.config_json import load_shape

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels run for themselves")


NAMES = ["gemma2", "gemma3", "gpt2"]
"""Between them: windows, caps, a scale, norms of heads and of outputs, two bases, LayerNorm."""


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_give_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    peer = write_model(tmp_path, name, seed=3)
    config = load_shape(tmp_path / "config.json")
    architecture = ARCHITECTURES[name]
    decoder = Decoder(
        load_weights(tmp_path, config),
        PrecisionName.FP32,
        torch.device("cpu"),
        architecture.context_tokens,
    )
    rng = random.Random(9)
    tokens = [rng.randrange(VOCABULARY) for _ in range(34)]
    # A prefill chunk and a decode step, both further than a window sees: the interpreter is slow.
    (ours,) = paged_logits(decoder, [tokens], rng, sizes=[33], triton=True)
    assert_close(ours, peer_logits(peer, tokens), 1e-4)
