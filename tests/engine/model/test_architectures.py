"""Every architecture beside transformers' own: the same logits, from the same checkpoint."""

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES, CONTEXT_TOKENS, write_model
from checkpoints import peer_logits
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from paged_logits import assert_close, paged_logits, random_sequences, relative_error
from prodtop.engine.model.checkpoint import load_weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.shape.config_json import KINDS, load_shape
from prodtop.engine.shape.parts import Activation
from torch import Tensor
from transformers import PreTrainedModel

CPU = torch.device("cpu")
NAMES = list(ARCHITECTURES)


class Peer:
    """A checkpoint as transformers reads it, and as the decoder does."""

    def __init__(self, name: str, folder: Path) -> None:
        self._architecture = ARCHITECTURES[name]
        self.model: PreTrainedModel = write_model(folder, name, seed=3)
        self.master: MasterWeights = load_weights(folder, load_shape(folder / "config.json"))

    def decoder(self, precision: PrecisionName, device: torch.device = CPU) -> Decoder:
        return Decoder(self.master, precision, device, self._architecture.context_tokens)

    def narrow_logits(self, sequences: list[list[int]]) -> Tensor:
        """What transformers computes in bf16."""
        narrow = copy.deepcopy(self.model)
        torch.nn.Module.to(narrow, torch.bfloat16)
        return torch.cat([peer_logits(narrow, tokens) for tokens in sequences]).float()

    def sequences(self, rng: random.Random) -> list[list[int]]:
        return random_sequences(rng, *self._architecture.lengths)


@pytest.fixture(scope="session")
def peer_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Peer]:
    @cache
    def peer(name: str) -> Peer:
        return Peer(name, tmp_path_factory.mktemp("architecture"))

    return peer


def test_every_supported_architecture_is_tried() -> None:
    tried = {architecture.model.__name__ for architecture in ARCHITECTURES.values()}
    served = {kind.architecture for kind in KINDS.values() if kind.served}
    assert tried == served - {"Gemma3ForConditionalGeneration"}


@pytest.mark.parametrize("name", NAMES)
@settings(
    deadline=None,
    max_examples=4,
    # A smaller example of a rounding error says no more, and takes minutes to find.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rng=st.randoms(use_true_random=False))
def test_every_position_has_the_logits_of_transformers(
    peer_of: Callable[[str], Peer], name: str, rng: random.Random
) -> None:
    peer = peer_of(name)
    decoder = peer.decoder(PrecisionName.FP32)
    sequences = peer.sequences(rng)
    for ours, tokens in zip(paged_logits(decoder, sequences, rng), sequences, strict=True):
        assert_close(ours, peer_logits(peer.model, tokens), 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_shape_counts_what_transformers_counts(
    peer_of: Callable[[str], Peer], name: str
) -> None:
    peer = peer_of(name)
    config = peer.master.config
    assert config.parameters == sum(p.numel() for p in peer.model.parameters())
    assert config.context_tokens == CONTEXT_TOKENS


# Each of these flags is one that a reader could forget without an error.
FORGOTTEN: list[tuple[str, dict[str, object]]] = [
    ("llama, linear rope", {"rope_scaling": None}),
    ("mistral", {"sliding_layers": frozenset()}),
    ("mistral", {"sliding_window": 25}),
    ("qwen2, window", {"sliding_layers": frozenset({0, 1, 2})}),
    ("qwen2, yarn", {"rope_scaling": None}),
    ("gemma2", {"attention_scale": None}),
    ("gemma2", {"attention_softcap": None}),
    ("gemma2", {"logit_softcap": None}),
    ("gemma2", {"embedding_scale": None}),
    ("gemma2", {"activation": Activation.GELU}),
    ("gemma2", {"activation": Activation.SILU}),
    ("gemma3", {"local_rope_theta": None}),
    ("gemma3", {"sliding_layers": frozenset({0, 1})}),
    ("gpt2", {"norm_eps": 1e-5}),
]


@pytest.mark.parametrize(("name", "forgotten"), FORGOTTEN)
def test_the_comparison_sees_a_flag_that_is_forgotten(
    peer_of: Callable[[str], Peer], name: str, forgotten: dict[str, object]
) -> None:
    peer = peer_of(name)
    # The flags are of many types, which `replace` cannot know here.
    config = replace(peer.master.config, **forgotten)  # type: ignore[arg-type]
    decoder = Decoder(replace(peer.master, config=config), PrecisionName.FP32, CPU, CONTEXT_TOKENS)
    tokens = random_sequences(random.Random(1), 70)[0]
    ours = paged_logits(decoder, [tokens], random.Random(2))[0]
    assert float((ours - peer_logits(peer.model, tokens)).abs().max()) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_dummy_weights_of_any_architecture_can_be_served(
    peer_of: Callable[[str], Peer], name: str
) -> None:
    peer = peer_of(name)
    master = dummy_weights(peer.master.config, torch.bfloat16)
    decoder = Decoder(master, PrecisionName.BF16, CPU, CONTEXT_TOKENS)
    logits = torch.cat(paged_logits(decoder, peer.sequences(random.Random(3)), random.Random(4)))
    assert torch.isfinite(logits).all()
    assert logits.std() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_bf16_errs_no_more_than_transformers_in_bf16_does(
    peer_of: Callable[[str], Peer], name: str
) -> None:
    peer = peer_of(name)
    rng = random.Random(5)
    sequences = peer.sequences(rng)
    exact = torch.cat([peer_logits(peer.model, tokens) for tokens in sequences])
    theirs = peer.narrow_logits(sequences)
    ours = torch.cat(paged_logits(peer.decoder(PrecisionName.BF16), sequences, rng))
    assert 0 < relative_error(ours, exact) < 1.5 * relative_error(theirs, exact)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_fp32_on_cuda_has_the_logits_of_transformers(
    peer_of: Callable[[str], Peer], name: str
) -> None:
    peer, rng = peer_of(name), random.Random(6)
    sequences = peer.sequences(rng)
    decoder = peer.decoder(PrecisionName.FP32, torch.device("cuda", 0))
    for triton in (False, True):
        computed = paged_logits(decoder, sequences, rng, triton=triton)
        for ours, tokens in zip(computed, sequences, strict=True):
            assert_close(ours, peer_logits(peer.model, tokens), 1e-2 if triton else 5e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_bf16_on_cuda_errs_no_more_than_transformers_in_bf16_does(
    peer_of: Callable[[str], Peer], name: str
) -> None:
    peer, rng = peer_of(name), random.Random(7)
    sequences = peer.sequences(rng)
    exact = torch.cat([peer_logits(peer.model, tokens) for tokens in sequences])
    theirs = peer.narrow_logits(sequences)
    decoder = peer.decoder(PrecisionName.BF16, torch.device("cuda", 0))
    ours = torch.cat(paged_logits(decoder, sequences, rng, triton=True))
    assert 0 < relative_error(ours, exact) < 1.5 * relative_error(theirs, exact)
