"""Checkpoint folders that load exactly, and damaged ones that are refused by name."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoints import INDEX_NAME, WEIGHTS_NAME, TinyShape, shard, write_checkpoint
from prodtop.engine.model.checkpoint import load_weights
from prodtop.engine.model.dummy import dummy_weights
from prodtop.engine.model.tensor_map import tensor_placements
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.protocol.errors import BrokenWeightsError, CheckpointError
from prodtop.engine.shape.config_json import load_shape
from prodtop.engine.shape.model_shape import ModelShape
from safetensors.torch import load_file, save_file
from torch import Tensor

UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole checkpoint, to be damaged."""
    path = tmp_path / "model"
    write_checkpoint(path, TinyShape(bias=True))
    return path


def load(folder: Path) -> MasterWeights:
    return load_weights(folder, load_shape(folder / "config.json"))


def tensors_of(weights: MasterWeights) -> dict[str, Tensor]:
    """The master weights under the names of the checkpoint, cut out of their fused places."""
    return {
        name: placement.target
        for name, placement in tensor_placements(weights)
        if placement.target is not None
    }


def change_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS_NAME)
    change(tensors)
    save_file(tensors, folder / WEIGHTS_NAME)


def refusal(folder: Path) -> str:
    """The line with which a folder is refused."""
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert str(folder) in line
    return line


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_tensor_arrives_bit_for_bit_in_its_own_dtype(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    write_checkpoint(tmp_path, TinyShape(bias=True), dtype=dtype)
    stored = load_file(tmp_path / WEIGHTS_NAME)
    weights = load(tmp_path)
    assert weights.dtype == dtype
    loaded = tensors_of(weights)
    assert loaded.keys() == stored.keys()
    for name, tensor in loaded.items():
        assert torch.equal(tensor, stored[name]), name


def test_shards_give_the_same_weights_as_one_file(folder: Path) -> None:
    whole = tensors_of(load(folder))
    names = shard(folder, 3)
    assert not (folder / WEIGHTS_NAME).exists()
    assert all((folder / name).is_file() for name in names)
    for name, tensor in tensors_of(load(folder)).items():
        assert torch.equal(tensor, whole[name]), name


def test_a_tied_head_is_the_embedding(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, TinyShape(tied=True))
    weights = load(tmp_path)
    assert weights.head is weights.embedding


def test_tensors_that_follow_from_others_are_passed_over(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, TinyShape(tied=True))

    def add(tensors: dict[str, Tensor]) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8, dtype=torch.float64)

    change_tensors(tmp_path, add)
    assert load(tmp_path).dtype is torch.float32


@pytest.mark.parametrize(
    "dtypes",
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float16),
        (torch.bfloat16, torch.float16),
    ],
)
def test_a_mixture_of_dtypes_loses_no_bit(
    folder: Path, dtypes: tuple[torch.dtype, torch.dtype]
) -> None:
    stored: dict[str, Tensor] = {}
    for name, dtype in zip(shard(folder, 2), dtypes, strict=True):
        part = {key: tensor.to(dtype) for key, tensor in load_file(folder / name).items()}
        save_file(part, folder / name)
        stored |= part
    weights = load(folder)
    assert weights.dtype is torch.float32
    for key, tensor in tensors_of(weights).items():
        assert torch.equal(tensor, stored[key].float()), key


def test_progress_goes_up_to_one(folder: Path) -> None:
    seen: list[float] = []
    load_weights(folder, load_shape(folder / "config.json"), seen.append)
    assert seen == sorted(seen)
    assert seen[0] > 0
    assert seen[-1] == 1.0


def test_a_missing_tensor_is_named(folder: Path) -> None:
    change_tensors(folder, lambda tensors: tensors.pop(UP))
    assert f"no tensor {UP!r}" in refusal(folder)


def test_several_missing_tensors_are_counted(folder: Path) -> None:
    def drop(tensors: dict[str, Tensor]) -> None:
        for name in list(tensors):
            if "mlp" in name:
                del tensors[name]

    change_tensors(folder, drop)
    assert "and 11 more" in refusal(folder)


def test_a_wrong_shape_is_named_with_both_shapes(folder: Path) -> None:
    change_tensors(folder, lambda tensors: tensors.update({UP: torch.zeros(95, 64)}))
    line = refusal(folder)
    assert WEIGHTS_NAME in line
    assert f"{UP!r} has shape [95, 64], the model's shape asks for [96, 64]" in line


def test_a_transposed_tensor_is_a_wrong_shape(folder: Path) -> None:
    change_tensors(folder, lambda t: t.update({UP: t[UP].T.contiguous()}))
    assert UP in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 3000, -1])
def test_a_value_that_is_no_number_is_found_in_any_tensor(
    folder: Path, dtype: torch.dtype, value: float, place: int
) -> None:
    def spoil(tensors: dict[str, Tensor]) -> None:
        tensors |= {name: tensor.to(dtype) for name, tensor in tensors.items()}
        tensors[UP].view(-1)[place] = value

    change_tensors(folder, spoil)
    with pytest.raises(BrokenWeightsError):
        load(folder)
    line = refusal(folder)
    assert f"{WEIGHTS_NAME}: {UP!r} holds NaN or infinite values" in line
    assert "fetch it again or choose another model" in line


def test_no_tensor_is_passed_over(folder: Path) -> None:
    whole = load_file(folder / WEIGHTS_NAME)
    for name, tensor in whole.items():
        spoiled = tensor.clone()
        spoiled.view(-1)[-1] = math.nan
        save_file(whole | {name: spoiled}, folder / WEIGHTS_NAME)
        assert f"{name!r} holds NaN" in refusal(folder)


def test_the_largest_numbers_are_numbers(folder: Path) -> None:
    largest = torch.finfo(torch.float32).max
    change_tensors(folder, lambda tensors: tensors[UP].fill_(largest))
    assert bool((tensors_of(load(folder))[UP] == largest).all())


def test_an_unexpected_tensor_is_named(folder: Path) -> None:
    extra = "model.layers.2.input_layernorm.weight"
    change_tensors(folder, lambda tensors: tensors.update({extra: torch.zeros(64)}))
    line = refusal(folder)
    assert WEIGHTS_NAME in line
    assert extra in line


@pytest.mark.parametrize(
    ("dtype", "shown"),
    [(torch.int8, "I8"), (torch.int64, "I64"), (torch.float64, "F64"), (torch.float8_e4m3fn, "F8")],
)
def test_a_dtype_that_is_no_weights_is_named(folder: Path, dtype: torch.dtype, shown: str) -> None:
    change_tensors(folder, lambda tensors: tensors.update({UP: tensors[UP].to(dtype)}))
    line = refusal(folder)
    assert WEIGHTS_NAME in line
    assert f"{UP!r} is of type {shown}" in line


@pytest.mark.parametrize("kept", [0, 4, 500, -1])
def test_a_truncated_file_is_refused(folder: Path, kept: int) -> None:
    data = (folder / WEIGHTS_NAME).read_bytes()
    (folder / WEIGHTS_NAME).write_bytes(data[:kept])
    line = refusal(folder)
    assert WEIGHTS_NAME in line
    assert "damaged" in line


def test_a_file_that_is_no_safetensors_is_refused(folder: Path) -> None:
    (folder / WEIGHTS_NAME).write_bytes(b"<!DOCTYPE html>" * 20)
    assert "damaged" in refusal(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pt"])
def test_pickled_weights_are_never_opened(folder: Path, name: str) -> None:
    (folder / WEIGHTS_NAME).unlink()
    (folder / name).write_bytes(b"not even a pickle")
    assert "pickled" in refusal(folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / WEIGHTS_NAME).unlink()
    assert f"has no {WEIGHTS_NAME}" in refusal(folder)


@pytest.mark.parametrize(
    "name", ["../other.safetensors", "/etc/hostname", "..", "", "sub/model.safetensors"]
)
def test_an_index_that_leads_out_of_its_folder_is_refused(folder: Path, name: str) -> None:
    (folder / WEIGHTS_NAME).unlink()
    (folder / INDEX_NAME).write_text(json.dumps({"weight_map": {UP: name}}))
    line = refusal(folder)
    assert INDEX_NAME in line
    assert f"outside its folder: {name!r}" in line


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_that_maps_nothing_is_refused(folder: Path, index: str) -> None:
    (folder / WEIGHTS_NAME).unlink()
    (folder / INDEX_NAME).write_text(index)
    line = refusal(folder)
    assert INDEX_NAME in line
    assert "weight_map" in line


def test_a_missing_shard_is_named(folder: Path) -> None:
    names = shard(folder, 2)
    (folder / names[1]).unlink()
    assert names[1] in refusal(folder)


def test_a_shape_that_counts_otherwise_than_its_checkpoint_is_refused(folder: Path) -> None:
    shape = load_shape(folder / "config.json")
    load_weights(folder, shape)
    with pytest.raises(CheckpointError, match=f"has {shape.parameters:,} parameters and not"):
        load_weights(folder, replace(shape, head_bias=True))


def test_dummy_weights_have_the_shape_and_repeat(tiny_folder: Path) -> None:
    config: ModelShape = load_shape(tiny_folder / "config.json")
    first, second = (tensors_of(dummy_weights(config, torch.bfloat16, seed=4)) for _ in range(2))
    other = tensors_of(dummy_weights(config, torch.bfloat16, seed=5))
    assert first.keys() == load_file(tiny_folder / WEIGHTS_NAME).keys()
    for name, tensor in first.items():
        assert torch.isfinite(tensor).all()
        assert torch.equal(tensor, second[name])
        assert name.endswith("norm.weight") or not torch.equal(tensor, other[name])
