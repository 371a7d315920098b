"""The names of tensors: prefixes of other exporters, and parts that are not the decoder's."""

import json
from pathlib import Path

import pytest
import torch
from architectures import write_model
from checkpoints import WEIGHTS_NAME
from prodtop.engine.model.checkpoint import load_weights
from prodtop.engine.model.tensor_map import tensor_placements
from prodtop.engine.model.weights import MasterWeights
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape
from safetensors.torch import load_file, save_file
from torch import Tensor


def load(folder: Path) -> MasterWeights:
    return load_weights(folder, load_shape(folder / "config.json"))


def assert_same(ours: MasterWeights, theirs: MasterWeights) -> None:
    expected = dict(tensor_placements(theirs))
    for name, placement in tensor_placements(ours):
        other = expected[name].target
        assert placement.target is not None
        assert other is not None
        assert torch.equal(placement.target, other), name


def test_gpt2_as_first_published_has_no_prefix_and_carries_its_masks(tmp_path: Path) -> None:
    write_model(tmp_path, "gpt2")
    expected = load(tmp_path)
    stored = load_file(tmp_path / WEIGHTS_NAME)
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
    assert tensors.keys().isdisjoint(stored)
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 8, 8)
    tensors["h.0.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, tmp_path / WEIGHTS_NAME)
    assert_same(load(tmp_path), expected)


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_of_a_model_that_sees_images_only_the_text_model_is_read(
    tmp_path: Path, prefix: str
) -> None:
    write_model(tmp_path, "gemma3")
    expected = load(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    whole = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": config,
        "vision_config": {"hidden_size": 8},
    }
    (tmp_path / "config.json").write_text(json.dumps(whole))
    tensors: dict[str, Tensor] = {
        name.replace("model.", prefix, 1): tensor
        for name, tensor in load_file(tmp_path / WEIGHTS_NAME).items()
    }
    tensors["vision_tower.vision_model.embeddings.patch_embedding.bias"] = torch.ones(8)
    tensors["model.multi_modal_projector.mm_soft_emb_norm.weight"] = torch.ones(8)
    save_file(tensors, tmp_path / WEIGHTS_NAME)
    assert_same(load(tmp_path), expected)


@pytest.mark.parametrize("name", ["gpt2", "phi3", "gemma2"])
def test_a_tensor_of_another_family_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, name)
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    tensors["model.layers.0.self_attn.k_scale"] = torch.ones(1)
    save_file(tensors, tmp_path / WEIGHTS_NAME)
    with pytest.raises(CheckpointError, match=r"k_scale' has no place in this model"):
        load(tmp_path)


def test_a_conv1d_that_is_not_transposed_is_a_wrong_shape(tmp_path: Path) -> None:
    write_model(tmp_path, "gpt2")
    tensors = load_file(tmp_path / WEIGHTS_NAME)
    name = "transformer.h.0.mlp.c_fc.weight"
    tensors[name] = tensors[name].t().contiguous()
    save_file(tensors, tmp_path / WEIGHTS_NAME)
    with pytest.raises(
        CheckpointError, match=r"shape \[256, 64\], the model's shape asks for \[64, 256\]"
    ):
        load(tmp_path)
