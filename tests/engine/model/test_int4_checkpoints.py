"""GPTQ and AWQ checkpoints: served as they are stored, beside the fp32 weights they stand for."""

import json
import math
import random
from pathlib import Path

import pytest
import torch
from checkpoints import (
    VOCABULARY,
    WEIGHTS_NAME,
    TinyShape,
    peer_logits,
    write_checkpoint,
)
from paged_logits import assert_close, paged_logits, relative_error
from prodtop.engine.model.checkpoint import load_weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import load_model
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.precision.projection import Int4Projection
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape
from prodtop.engine.shape.serving_limits import check_served
from quantized import Scheme, quantize_checkpoint
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaForCausalLM

CPU = torch.device("cpu")
SHAPE = TinyShape(hidden=128, intermediate=256, heads=4, kv_heads=2, head_dim=32)
SCHEMES = [
    Scheme("gptq", 32),
    Scheme("gptq", 64, symmetric=True),
    Scheme("gptq", 128),
    Scheme("gptq_v2", 64),
    Scheme("awq", 32),
    Scheme("awq", 128),
]
QUERY = "model.layers.0.self_attn.q_proj"


def write_quantized(folder: Path, scheme: Scheme, *, bias: bool = False) -> LlamaForCausalLM:
    """Write a checkpoint in 4 bits; the model returned has the fp32 weights it stands for."""
    shape = TinyShape(**{**vars(SHAPE), "bias": bias})
    peer = write_checkpoint(folder, shape, seed=3)
    quantize_checkpoint(folder, scheme, peer)
    return peer


def load(folder: Path) -> MasterWeights:
    shape = load_shape(folder / "config.json")
    check_served(shape, str(folder))
    return load_weights(folder, shape)


def logits_of(
    master: MasterWeights,
    precision: PrecisionName,
    sequences: list[list[int]],
    device: torch.device,
) -> Tensor:
    decoder = Decoder(master, precision, device, master.config.context_tokens)
    return torch.cat(paged_logits(decoder, sequences, random.Random(1)))


def sequences() -> list[list[int]]:
    rng = random.Random(6)
    return [[rng.randrange(VOCABULARY) for _ in range(length)] for length in (40, 17, 1)]


def ids(scheme: Scheme) -> str:
    return f"{scheme.method}-{scheme.group}" + ("-symmetric" if scheme.symmetric else "")


@pytest.mark.parametrize("scheme", SCHEMES, ids=ids)
def test_dequantized_the_logits_are_those_of_the_weights_stored(
    tmp_path: Path, scheme: Scheme
) -> None:
    peer = write_quantized(tmp_path, scheme, bias=scheme.symmetric)
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences()])
    assert_close(logits_of(load(tmp_path), PrecisionName.FP32, sequences(), CPU), exact, 1e-4)


@pytest.mark.parametrize("scheme", SCHEMES, ids=ids)
def test_at_int4_the_values_stored_are_computed_with(tmp_path: Path, scheme: Scheme) -> None:
    """Beyond them it errs by its bf16 arithmetic and scales, and no other rounding comes on top."""
    peer = write_quantized(tmp_path, scheme)
    master = load(tmp_path)
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences()])
    at_int4 = relative_error(logits_of(master, PrecisionName.INT4, sequences(), CPU), exact)
    at_bf16 = relative_error(logits_of(master, PrecisionName.BF16, sequences(), CPU), exact)
    assert 0 < at_int4 < 2 * at_bf16
    assert at_int4 < 0.05


@pytest.mark.parametrize("scheme", SCHEMES, ids=ids)
def test_the_stored_values_are_kept_bit_for_bit(tmp_path: Path, scheme: Scheme) -> None:
    peer = write_quantized(tmp_path, scheme)
    qkv = load(tmp_path).layers[0].qkv
    assert isinstance(qkv, Int4Projection)
    parts = [getattr(peer.model.layers[0].self_attn, f"{name}_proj").weight for name in "qkv"]
    assert torch.equal(qkv.dequantize(), torch.cat(parts).detach())
    kept = qkv.quantized()
    wide = (kept.q.view(qkv.q.shape[0], -1, scheme.group) - 8) * kept.scale.unsqueeze(-1)
    assert torch.equal((wide + kept.zero.unsqueeze(-1)).flatten(1), qkv.dequantize())


def test_other_levels_are_made_from_the_values_stored(tmp_path: Path) -> None:
    peer = write_quantized(tmp_path, Scheme("gptq", 32))
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences()])
    for precision in (PrecisionName.FP16, PrecisionName.INT8):
        ours = logits_of(load(tmp_path), precision, sequences(), CPU)
        assert relative_error(ours, exact) < 0.1


def test_the_master_copy_takes_half_a_byte_a_weight_and_its_scales(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("awq", 128))
    for projection in load(tmp_path).projections():
        assert isinstance(projection, Int4Projection)
        weights = projection.q.numel() * 2
        stored = [projection.q, projection.scale, projection.zero]
        assert sum(t.nbytes for t in stored) == weights / 2 + 5 * weights / 128


def test_a_bias_of_zeros_that_the_model_does_not_have_is_passed_over(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    change(tmp_path, f"{QUERY}.bias", torch.zeros(128, dtype=torch.float16))
    assert load(tmp_path).layers[0].qkv.bias is None
    change(tmp_path, f"{QUERY}.bias", torch.ones(128, dtype=torch.float16))
    assert "is a bias that config.json does not ask for" in refusal(tmp_path)


def test_a_checkpoint_without_group_indices_is_in_order(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    save_file(
        {name: t for name, t in tensors.items() if not name.endswith("g_idx")},
        tmp_path / WEIGHTS_NAME,
    )
    progress: list[float] = []
    load_weights(tmp_path, load_shape(tmp_path / "config.json"), progress.append)
    assert progress[-1] == 1.0


def test_reordered_inputs_are_refused(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    indices = torch.arange(128, dtype=torch.int32).flip(0) // 32
    change(tmp_path, f"{QUERY}.g_idx", indices)
    assert "`desc_act`" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("part", "tensor", "message"),
    [
        ("qweight", torch.zeros(16, 128), "is of type float32 and not int32"),
        ("qweight", torch.zeros(32, 128, dtype=torch.int32), "asks for [16, 128]"),
        ("scales", torch.zeros(4, 128, dtype=torch.int32), "is of type int32 and not"),
        ("scales", torch.full((4, 128), math.inf, dtype=torch.float16), "holds NaN or infinite"),
        ("qzeros", None, "has no tensor"),
    ],
)
def test_damaged_parts_are_named(
    tmp_path: Path, part: str, tensor: Tensor | None, message: str
) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    change(tmp_path, f"{QUERY}.{part}", tensor)
    line = refusal(tmp_path)
    assert f"{QUERY}.{part}" in line
    assert message in line


def test_a_layer_that_no_whole_groups_make_up_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, TinyShape(hidden=96, intermediate=128))
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = Scheme("gptq", 64).settings
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "groups of 64 do not fit" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quant_method": "bitsandbytes"}, "quantization 'bitsandbytes' is not supported"),
        ({"quant_method": None}, "quantization '' is not supported"),
        ({"bits": 8}, "weights of 8 bits"),
        ({"group_size": -1}, "group size of -1"),
        ({"group_size": 256}, "group size of 256"),
        ({"checkpoint_format": "marlin"}, "layout 'marlin'"),
        ({"modules_to_not_convert": ["mlp"]}, "`modules_to_not_convert`"),
        ({"quant_method": "awq", "version": "gemv"}, "layout 'gemv'"),
    ],
)
def test_another_quantization_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    write_checkpoint(tmp_path, SHAPE)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = Scheme("gptq", 64).settings | changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert message in refusal(tmp_path)


def test_dummy_weights_of_a_quantized_shape_are_quantized(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("awq", 32))
    (tmp_path / WEIGHTS_NAME).unlink()
    master = load_model(str(tmp_path), "dummy").master
    assert all(isinstance(projection, Int4Projection) for projection in master.projections())
    logits = logits_of(master, PrecisionName.INT4, sequences(), CPU)
    assert torch.isfinite(logits).all()
    assert logits.std() > 0.01


@pytest.mark.gpu
@pytest.mark.parametrize("scheme", SCHEMES, ids=ids)
def test_on_cuda_the_values_stored_are_computed_with(tmp_path: Path, scheme: Scheme) -> None:
    peer = write_quantized(tmp_path, scheme)
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences()])
    ours = logits_of(load(tmp_path), PrecisionName.INT4, sequences(), torch.device("cuda"))
    assert 0 < relative_error(ours, exact) < 0.05


def change(folder: Path, name: str, tensor: Tensor | None) -> None:
    """Put `tensor` in a checkpoint under `name`, or take away what is there."""
    tensors = load_file(folder / WEIGHTS_NAME)
    tensors.pop(name, None)
    if tensor is not None:
        tensors[name] = tensor
    save_file(tensors, folder / WEIGHTS_NAME)


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    line = str(caught.value)
    assert "\n" not in line
    return line
