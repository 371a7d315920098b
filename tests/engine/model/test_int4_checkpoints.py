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
from prodtop.engine.model.checkpoint import (
    load_weights,
    open_checkpoint,
    read_weights,
    stored_dtype,
)
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import load_model
from prodtop.engine.model.weight_memory import packed_bytes, stored_bytes
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.precision.linear import storage_bytes
from prodtop.engine.precision.projection import Int4Projection, Projection
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
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    packed = {name.replace("proj.weight", "proj.qweight"): t for name, t in tensors.items()}
    save_file(packed, tmp_path / WEIGHTS_NAME)
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
        ({"modules_to_not_convert": "mlp"}, "`modules_to_not_convert` must be a list of texts"),
        ({"quant_method": None, "load_in_8bit": True}, "quantization 'bitsandbytes'"),
        (
            {"dynamic": {"+:.*down.*": {"bits": 8}}},
            "'+:.*down.*' packs layers with `bits` 8 beside",
        ),
        ({"dynamic": {".*up.*": {"group_size": 32}}}, "`group_size` 32 beside others with 64"),
        ({"dynamic": [1]}, "`dynamic` must be a table"),
        ({"desc_act": "yes"}, "`desc_act` must be true or false"),
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


def _dense_again(folder: Path, peer: LlamaForCausalLM, part: str) -> None:
    """Store the layers whose name has `part` as they were before packing."""
    tensors = load_file(folder / WEIGHTS_NAME)
    for name, weight in peer.state_dict().items():
        if part in name and name.endswith("_proj.weight"):
            base = name.removesuffix("weight")
            tensors = {key: t for key, t in tensors.items() if not key.startswith(base)}
            tensors[name] = weight.clone()
    save_file(tensors, folder / WEIGHTS_NAME)


def _store_as(folder: Path, dtype: torch.dtype) -> None:
    """Store what is not packed in `dtype`."""
    tensors = load_file(folder / WEIGHTS_NAME)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not name.endswith(".scales"):
            tensors[name] = tensor.to(dtype)
    save_file(tensors, folder / WEIGHTS_NAME)


def _add_settings(folder: Path, settings: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] |= settings
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("method", "settings", "part"),
    [
        ("awq", {"modules_to_not_convert": ["lm_head"]}, "nothing"),
        ("awq", {"modules_to_not_convert": ["down_proj"]}, "down_proj"),
        ("awq", {"modules_to_not_convert": ["model.layers.0"]}, "layers.0."),
        ("gptq", {"dynamic": {"-:lm_head": {}}}, "nothing"),
        ("gptq", {"dynamic": {r"-:.*\.1\.mlp.*": {}}}, "layers.1.mlp"),
        ("gptq", {"dynamic": {"+:.*": {"bits": 4, "group_size": 32}}}, "nothing"),
        ("gptq", {"modules_in_block_to_quantize": [["mlp.up_proj"]]}, "self_attn"),
        ("gptq_v2", {"lm_head": False, "dynamic": {}}, "proj"),
    ],
)
def test_layers_left_out_of_the_packing_are_served_as_they_are(
    tmp_path: Path, method: str, settings: dict[str, object], part: str
) -> None:
    peer = write_quantized(tmp_path, Scheme(method, 32))
    _dense_again(tmp_path, peer, part)
    _add_settings(tmp_path, settings)
    exact = torch.cat([peer_logits(peer, tokens) for tokens in sequences()])
    master = load(tmp_path)
    assert_close(logits_of(master, PrecisionName.FP32, sequences(), CPU), exact, 1e-4)
    at_int4 = logits_of(master, PrecisionName.INT4, sequences(), CPU)
    assert relative_error(at_int4, exact) < 0.5
    _check_what_int4_packs(master)
    notes = open_checkpoint(tmp_path, load_shape(tmp_path / "config.json")).notes
    assert bool(notes) == (part != "nothing")


def _check_what_int4_packs(master: MasterWeights) -> None:
    """Layers left out are those of bf16, bit for bit; all others are packed."""
    int4, bf16 = (
        Decoder(master, precision, CPU, 64)
        for precision in (PrecisionName.INT4, PrecisionName.BF16)
    )
    x = torch.randn(3, 256, generator=torch.Generator().manual_seed(2)).bfloat16()
    for stored, ours, base in zip(master.layers, int4.layers, bf16.layers, strict=True):
        parts = zip(stored.projections(), ours.projections(), base.projections(), strict=True)
        for projection, packed, dense in parts:
            # A checkpoint that holds nothing in 4 bits is as any other.
            in_4_bits = master.config.stored.int4 is None or isinstance(projection, Int4Projection)
            assert (type(packed) is type(dense)) != in_4_bits
            if not in_4_bits:
                assert isinstance(projection, Projection)
                rows = x[:, : projection.weight.shape[1]]
                assert torch.equal(packed(rows), dense(rows))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("part", ["nothing", "down_proj", "layers.0.", "self_attn", "proj"])
@pytest.mark.parametrize(("method", "group"), [("awq", 32), ("awq", 128), ("gptq", 64)])
def test_the_bytes_expected_are_those_held(
    tmp_path: Path, method: str, group: int, part: str, dtype: torch.dtype
) -> None:
    peer = write_quantized(tmp_path, Scheme(method, group), bias=part == "nothing")
    _dense_again(tmp_path, peer, part)
    _store_as(tmp_path, dtype)
    checkpoint = open_checkpoint(tmp_path, load_shape(tmp_path / "config.json"))
    master = read_weights(checkpoint)
    expected = stored_bytes(checkpoint.config, stored_dtype(checkpoint))
    assert storage_bytes(master.tensors()) == expected
    decoder = Decoder(master, PrecisionName.INT4, CPU, 64)
    taken = decoder.matmul_bytes
    # Scales of small groups take up to a fifth, and are left out.
    assert 0.8 * taken < packed_bytes(checkpoint.config, PrecisionName.INT4) <= taken


def test_projections_computed_together_must_be_stored_alike(tmp_path: Path) -> None:
    peer = write_quantized(tmp_path, Scheme("awq", 32))
    _dense_again(tmp_path, peer, "layers.1.self_attn.k_proj")
    line = refusal(tmp_path)
    assert "'model.layers.1.self_attn.q_proj' is in 4 bits" in line
    assert "'model.layers.1.self_attn.k_proj' is not" in line


def test_a_layer_there_in_both_forms_is_refused(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("awq", 32))
    change(tmp_path, f"{QUERY}.weight", torch.zeros(128, 128))
    assert f"{QUERY!r} is there in 4 bits and without" in refusal(tmp_path)


def test_a_head_in_4_bits_is_refused_by_its_name(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    change(tmp_path, "lm_head.weight", None)
    change(tmp_path, "lm_head.qweight", torch.zeros(16, VOCABULARY, dtype=torch.int32))
    assert "'lm_head.qweight' is of an output head in 4 bits" in refusal(tmp_path)


def test_packed_layers_without_settings_are_named(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    config = json.loads((tmp_path / "config.json").read_text())
    del config["quantization_config"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "config.json has no `quantization_config`" in refusal(tmp_path)


def test_with_desc_act_the_group_indices_decide(tmp_path: Path) -> None:
    write_quantized(tmp_path, Scheme("gptq", 32))
    _add_settings(tmp_path, {"desc_act": True})
    load(tmp_path)
    change(tmp_path, f"{QUERY}.g_idx", None)
    assert f"no tensor '{QUERY}.g_idx'" in refusal(tmp_path)


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
    ours = logits_of(load(tmp_path), PrecisionName.INT4, sequences(), torch.device("cuda", 0))
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
