"""The decoder beside transformers' Llama: the same logits, however a sequence is cut and paged."""

import copy
import random
from pathlib import Path

import pytest
import torch
from checkpoints import LLAMA3_ROPE, VOCABULARY, TinyShape, peer_logits, write_checkpoint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paged_logits import assert_close, paged_logits, random_sequences, relative_error
from prodtop.engine.model.checkpoint import load_weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.ops.torch_ops import TorchOps
from prodtop.engine.precision.int4_fit import fit_int4
from prodtop.engine.precision.int4_rounding import int4_group
from prodtop.engine.precision.levels import unavailable_reason
from prodtop.engine.precision.linear import PackedLinear
from prodtop.engine.precision.projection import Projection
from prodtop.engine.precision.quantize import quantize_int8
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.serving.batch import BatchBuilder
from prodtop.engine.serving.kv_cache import KVCache
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.shape.config_json import load_shape
from torch import Tensor
from transformers import LlamaForCausalLM

CPU = torch.device("cpu")
SHAPES = {
    "no sharing": TinyShape(heads=2, kv_heads=2, head_dim=32),
    "two share": TinyShape(),
    "three share": TinyShape(heads=6, kv_heads=2, hidden=96),
    "seven share": TinyShape(heads=7, kv_heads=1, head_dim=8, hidden=56),
    "tied": TinyShape(tied=True),
    "biased": TinyShape(bias=True),
    "llama3 rope": TinyShape(rope=LLAMA3_ROPE),
    "own head size": TinyShape(heads=3, kv_heads=3, head_dim=24, hidden=48),
    "one layer": TinyShape(layers=1, tied=True, bias=True, rope=LLAMA3_ROPE),
}


class Model:
    """A checkpoint as transformers reads it, and as the decoder does."""

    def __init__(self, folder: Path, shape: TinyShape) -> None:
        self.folder = folder
        self.peer = write_checkpoint(folder, shape, seed=3)

    def decoder(self, precision: PrecisionName, device: torch.device = CPU) -> Decoder:
        config = load_shape(self.folder / "config.json")
        return Decoder(load_weights(self.folder, config), precision, device, config.context_tokens)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    return {
        name: Model(tmp_path_factory.mktemp(name.replace(" ", "-")), shape)
        for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("name", SHAPES)
@settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rng=st.randoms(use_true_random=False))
def test_every_position_has_the_logits_of_transformers(
    models: dict[str, Model], name: str, rng: random.Random
) -> None:
    model = models[name]
    decoder = model.decoder(PrecisionName.FP32)
    sequences = random_sequences(rng)
    for ours, tokens in zip(paged_logits(decoder, sequences, rng), sequences, strict=True):
        assert_close(ours, peer_logits(model.peer, tokens), 1e-4)


@pytest.mark.parametrize("name", ["two share", "llama3 rope", "biased"])
def test_bf16_errs_no_more_than_transformers_in_bf16_does(
    models: dict[str, Model], name: str
) -> None:
    model = models[name]
    rng = random.Random(5)
    sequences = [[rng.randrange(VOCABULARY) for _ in range(length)] for length in (60, 33, 1)]
    ours = torch.cat(paged_logits(model.decoder(PrecisionName.BF16), sequences, rng))
    exact = torch.cat([peer_logits(model.peer, tokens) for tokens in sequences])
    narrow = LlamaForCausalLM.from_pretrained(model.folder, dtype=torch.bfloat16)
    theirs = torch.cat([peer_logits(narrow, tokens) for tokens in sequences]).float()
    error = relative_error(ours, exact)
    assert 0 < error < 1.5 * relative_error(theirs, exact)
    assert error < 0.05


def rounded(weight: Tensor, precision: PrecisionName) -> Tensor:
    """The fp32 weight that a level's stored values stand for."""
    if precision is PrecisionName.FP16:
        return weight.half().float()
    if precision is PrecisionName.INT8:
        int8 = quantize_int8(weight, torch.bfloat16)
        return int8.q.float() * int8.scale.float().unsqueeze(1)
    group = int4_group(weight.shape[1])
    int4 = fit_int4(weight, group, torch.bfloat16)
    grouped = (int4.q.float() - 8).view(weight.shape[0], -1, group)
    return (grouped * int4.scale.unsqueeze(-1) + int4.zero.unsqueeze(-1)).flatten(1)


def rounded_peer(model: Model, precision: PrecisionName) -> LlamaForCausalLM:
    """The peer in fp32 arithmetic, its layers' projections rounded as `precision` rounds them."""
    peer = copy.deepcopy(model.peer)
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if name.endswith("proj.weight"):
                parameter.copy_(rounded(parameter, precision))
    return peer


@pytest.mark.parametrize("name", ["three share", "biased"])
@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [(PrecisionName.FP16, 0.01), (PrecisionName.INT8, 0.05), (PrecisionName.INT4, 0.05)],
)
def test_a_level_computes_with_the_weights_that_it_stores(
    models: dict[str, Model], name: str, precision: PrecisionName, tolerance: float
) -> None:
    """Beyond the rounding of its weights, a level errs by the arithmetic of its base dtype."""
    model = models[name]
    rng = random.Random(6)
    sequences = [[rng.randrange(VOCABULARY) for _ in range(length)] for length in (40, 17)]
    ours = torch.cat(paged_logits(model.decoder(precision), sequences, rng))
    peer = rounded_peer(model, precision)
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences])
    assert 0 < relative_error(ours, exact) < tolerance


def test_how_a_sequence_is_cut_does_not_change_what_is_chosen(models: dict[str, Model]) -> None:
    decoder = models["three share"].decoder(PrecisionName.FP32)
    rng = random.Random(7)
    sequences = [[rng.randrange(VOCABULARY) for _ in range(50)] for _ in range(3)]
    first = torch.cat(paged_logits(decoder, sequences, random.Random(1)))
    second = torch.cat(paged_logits(decoder, sequences, random.Random(2)))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)
    assert torch.equal(first.argmax(-1), second.argmax(-1))


@pytest.mark.parametrize("wanted", [[], [3], [49, 0, 20]])
def test_of_some_rows_there_are_the_hidden_states_and_of_all_the_keys(
    wanted: list[int], models: dict[str, Model]
) -> None:
    decoder = models["three share"].decoder(PrecisionName.FP32)
    config = decoder.config
    source = random.Random(5)
    request = Request(0, [source.randrange(VOCABULARY) for _ in range(50)], 1, Sampling(), 0.0)
    request.block_ids = list(range(4))
    builder = BatchBuilder(config.heads // config.kv_heads, CPU, decoder.dtype)
    step = builder.build([Chunk(request, 50, 0)]).step

    def forward(rows: Tensor | None) -> tuple[Tensor, KVCache]:
        cache = KVCache(config, 4, CPU, decoder.dtype)
        ops = TorchOps(step, decoder.rope)
        return decoder.forward(step.tokens, ops, cache.layers, rows), cache

    every, whole = forward(None)
    some, kept = forward(torch.tensor(wanted, dtype=torch.int64))
    torch.testing.assert_close(some, every[wanted], rtol=1e-5, atol=1e-5)
    assert all(map(torch.equal, kept.layers, whole.layers))


def test_what_overflows_in_fp16_leaves_nothing_in_the_cache_that_spreads(
    models: dict[str, Model],
) -> None:
    model = models["two share"]
    config = load_shape(model.folder / "config.json")
    master = load_weights(model.folder, config)
    for layer in master.layers:
        assert isinstance(layer.down, Projection)
        layer.down.weight.mul_(1e6)
    decoder = Decoder(master, PrecisionName.FP16, CPU, config.context_tokens)
    request = Request(0, [1, 2, 3], 1, Sampling(), 0.0)
    request.block_ids = [0]
    cache = KVCache(config, 1, CPU, decoder.dtype)
    builder = BatchBuilder(config.heads // config.kv_heads, CPU, decoder.dtype)
    step = builder.build([Chunk(request, 3, 0)]).step
    hidden = decoder.forward(step.tokens, TorchOps(step, decoder.rope), cache.layers)
    assert not torch.isfinite(hidden).all()
    assert all(torch.isfinite(layer).all() for layer in cache.layers)


def second_head(decoder: Decoder) -> int:
    """Parameters that a CPU keeps twice: of a tied head, once as the embedding and once packed."""
    config = decoder.config
    packed = config.tied_embeddings and PackedLinear.supports(decoder.dtype)
    return config.vocabulary * config.hidden if packed else 0


def test_a_tied_head_that_is_not_packed_counts_once(models: dict[str, Model]) -> None:
    tied = models["tied"].decoder(PrecisionName.FP16)
    assert tied.weights_bytes == 2 * tied.config.parameters
    assert tied.head_copy_bytes == 0


@pytest.mark.parametrize("name", SHAPES)
def test_weights_bytes_are_those_of_all_parameters(models: dict[str, Model], name: str) -> None:
    model = models[name]
    parameters = sum(p.numel() for p in model.peer.parameters())
    decoder = model.decoder(PrecisionName.BF16)
    assert decoder.config.parameters == parameters
    assert decoder.weights_bytes == 2 * (parameters + second_head(decoder))
    assert decoder.head_copy_bytes == 2 * second_head(decoder)


@pytest.mark.parametrize("name", SHAPES)
def test_all_16_bit_levels_weigh_the_same_but_for_the_head_packed_again(
    models: dict[str, Model], name: str
) -> None:
    levels = (PrecisionName.BF16, PrecisionName.FP16)
    decoders = [models[name].decoder(precision) for precision in levels]
    weights = {decoder.weights_bytes - decoder.head_copy_bytes for decoder in decoders}
    assert len(weights) == 1


def test_quantized_layers_take_a_fraction_of_fp32(tmp_path: Path) -> None:
    # As wide as the bundled model: at 64 inputs a row, scales would weigh more than they do.
    shape = TinyShape(heads=4, kv_heads=2, head_dim=64, hidden=256, intermediate=512, layers=1)
    model = Model(tmp_path, shape)
    full = model.decoder(PrecisionName.FP32)
    assert full.quantized_bytes == 4 * full.config.linear_parameters
    int8, int4 = model.decoder(PrecisionName.INT8), model.decoder(PrecisionName.INT4)
    assert int8.quantized_bytes <= 0.30 * full.quantized_bytes
    assert int4.quantized_bytes <= 0.20 * full.quantized_bytes
    # Less than the bits of the values themselves cannot be.
    assert int8.quantized_bytes > full.config.linear_parameters
    assert int4.quantized_bytes > full.config.linear_parameters / 2
    rest = full.weights_bytes - full.quantized_bytes
    assert int4.weights_bytes - int4.quantized_bytes == rest / 2, "the rest is kept in bf16"


@pytest.mark.gpu
@pytest.mark.parametrize("name", SHAPES)
def test_fp32_on_cuda_has_the_logits_of_the_cpu(models: dict[str, Model], name: str) -> None:
    model, cuda = models[name], torch.device("cuda", 0)
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        sequences = random_sequences(random.Random(8))
        there = paged_logits(model.decoder(PrecisionName.FP32, cuda), sequences, random.Random(9))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    here = paged_logits(model.decoder(PrecisionName.FP32), sequences, random.Random(9))
    for ours, theirs in zip(there, here, strict=True):
        assert_close(ours, theirs, 5e-4)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "tolerance"),
    [
        (PrecisionName.FP32, 1e-3),
        (PrecisionName.BF16, 0.05),
        (PrecisionName.FP16, 0.01),
        (PrecisionName.INT8, 0.05),
        (PrecisionName.INT4, 0.05),
    ],
)
def test_each_precision_on_cuda_has_the_logits_of_its_weights(
    models: dict[str, Model], precision: PrecisionName, tolerance: float
) -> None:
    model = models["two share"]
    sequences = random_sequences(random.Random(10))
    whole = precision in (PrecisionName.FP32, PrecisionName.BF16)
    peer = model.peer if whole else rounded_peer(model, precision)
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences])
    decoder = model.decoder(precision, torch.device("cuda", 0))
    ours = torch.cat(paged_logits(decoder, sequences, random.Random(11)))
    assert relative_error(ours, exact) < tolerance


@pytest.mark.gpu
def test_fp8_on_cuda_stays_near_fp32(models: dict[str, Model]) -> None:
    cuda = torch.device("cuda", 0)
    if (reason := unavailable_reason(PrecisionName.FP8, cuda)) is not None:
        pytest.skip(reason)
    model = models["two share"]
    sequences = random_sequences(random.Random(12))
    exact = torch.cat([peer_logits(model.peer, tokens) for tokens in sequences])
    decoder = model.decoder(PrecisionName.FP8, cuda)
    ours = torch.cat(paged_logits(decoder, sequences, random.Random(13)))
    # Three bits of mantissa on both sides of each product, through two layers that amplify.
    assert relative_error(ours, exact) < 0.4
