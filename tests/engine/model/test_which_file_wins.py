"""Which file's tensors count, what the head is, and what a name may look like: as transformers."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoints import (
    INDEX_NAME,
    WEIGHTS_NAME,
    TinyShape,
    peer_logits,
    shard,
    write_checkpoint,
)
from paged_logits import assert_close, paged_logits
from prodtop.engine.model.checkpoint import Checkpoint, open_checkpoint, read_weights
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
UP = "model.layers.1.mlp.up_proj.weight"
TOKENS = [3, 9, 27, 81, 5, 1, 44]
Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole, untied checkpoint."""
    path = tmp_path / "model"
    write_checkpoint(path, TinyShape())
    return path


def opened(folder: Path) -> Checkpoint:
    return open_checkpoint(folder, load_shape(folder / "config.json"))


def theirs(folder: Path) -> PreTrainedModel:
    peer: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return peer


def logits(checkpoint: Checkpoint) -> Tensor:
    master = read_weights(checkpoint)
    decoder = Decoder(master, PrecisionName.FP32, torch.device("cpu"), master.config.context_tokens)
    return paged_logits(decoder, [TOKENS], random.Random(1))[0]


def rewrite(folder: Path, change: Change) -> None:
    save_file(change(load_file(folder / WEIGHTS_NAME)), folder / WEIGHTS_NAME, {"format": "pt"})


def set_config(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_weights(opened(folder))
    line = str(caught.value)
    assert "\n" not in line
    return line


def spoiled(tensor: Tensor) -> Tensor:
    return torch.full_like(tensor, 0.25)


def test_a_whole_file_counts_whatever_a_stale_index_says(folder: Path) -> None:
    whole = load_file(folder / WEIGHTS_NAME)
    names = shard(folder, 2)
    for name in names:
        save_file({k: spoiled(t) for k, t in load_file(folder / name).items()}, folder / name)
    save_file(whole, folder / WEIGHTS_NAME, {"format": "pt"})
    checkpoint = opened(folder)
    assert_close(logits(checkpoint), peer_logits(theirs(folder), TOKENS), 1e-4)
    assert any("not read" in note and names[0] in note for note in checkpoint.notes)


@pytest.mark.parametrize("later", ["model-00002-of-00002.safetensors", "a-overlay.safetensors"])
def test_of_a_tensor_in_several_shards_the_copy_counts_that_the_index_names(
    folder: Path, later: str
) -> None:
    peer = theirs(folder)
    first = "model-00001-of-00002.safetensors"
    whole = load_file(folder / WEIGHTS_NAME)
    (folder / WEIGHTS_NAME).unlink()
    save_file(whole | {HEAD: spoiled(whole[HEAD])}, folder / first)
    save_file({HEAD: whole[HEAD]}, folder / later)
    placed = {name: later if name == HEAD else first for name in whole}
    (folder / INDEX_NAME).write_text(json.dumps({"weight_map": placed}))
    checkpoint = opened(folder)
    assert_close(logits(checkpoint), peer_logits(peer, TOKENS), 1e-4)
    assert checkpoint.notes == (f"in several shards, read from the index's: {HEAD}",)
    del placed[HEAD]
    (folder / INDEX_NAME).write_text(json.dumps({"weight_map": placed | {"other": later}}))
    line = refusal(folder)
    assert f"{HEAD!r} is in" in line
    assert later in line


def test_what_the_index_places_wrongly_is_read_where_it_is(folder: Path) -> None:
    peer = theirs(folder)
    names = shard(folder, 2)
    index = json.loads((folder / INDEX_NAME).read_text())
    table = index["weight_map"]
    table[UP] = next(name for name in names if name != table[UP])
    del table[HEAD]
    (folder / INDEX_NAME).write_text(json.dumps(index))
    checkpoint = opened(folder)
    assert_close(logits(checkpoint), peer_logits(peer, TOKENS), 1e-4)
    assert checkpoint.notes == (
        f"not where the index says, read from where they are: {HEAD}, {UP}",
    )


def test_shards_without_an_index_and_files_of_other_names_are_named(folder: Path) -> None:
    shard(folder, 2)
    (folder / INDEX_NAME).unlink()
    assert "what model-00001-of-00002.safetensors, model-00002-of" in refusal(folder)


def test_a_file_that_config_names_is_the_one_read(folder: Path) -> None:
    peer = theirs(folder)
    (folder / WEIGHTS_NAME).rename(folder / "other.safetensors")
    set_config(folder, transformers_weights="other.safetensors")
    assert_close(logits(opened(folder)), peer_logits(peer, TOKENS), 1e-4)
    assert_close(peer_logits(theirs(folder), TOKENS), peer_logits(peer, TOKENS), 1e-5)
    set_config(folder, transformers_weights="../other.safetensors")
    assert "outside its folder" in refusal(folder)


def test_an_adapter_is_named_beside_weights_and_refused_alone(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert opened(folder).notes == (
        "not applied: the adapter of adapter_config.json (merge it into the weights)",
    )
    (folder / WEIGHTS_NAME).rename(folder / "adapter_model.safetensors")
    assert "holds an adapter only" in refusal(folder)


@pytest.mark.parametrize(
    ("stated", "stored", "tied"),
    [
        (True, "same head", True),
        (True, "other head", False),
        (True, "no head", True),
        (True, "head alone", True),
        (False, "same head", False),
        (False, "other head", False),
    ],
)
def test_the_head_is_tied_by_what_the_file_holds(
    folder: Path, stated: bool, stored: str, tied: bool
) -> None:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        if stored == "same head":
            tensors[HEAD] = tensors[EMBEDDING].clone()
        elif stored == "no head":
            del tensors[HEAD]
        elif stored == "head alone":
            del tensors[EMBEDDING]
        return tensors

    rewrite(folder, change)
    set_config(folder, tie_word_embeddings=stated)
    checkpoint = opened(folder)
    assert checkpoint.config.tied_embeddings == tied
    assert_close(logits(checkpoint), peer_logits(theirs(folder), TOKENS), 1e-4)
    assert bool(checkpoint.notes) == (stated and not tied)


def test_an_untied_head_that_is_missing_is_refused_with_the_setting(folder: Path) -> None:
    rewrite(folder, lambda t: {name: tensor for name, tensor in t.items() if name != HEAD})
    line = refusal(folder)
    assert f"no tensor {HEAD!r}" in line
    assert "`tie_word_embeddings`" in line


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.removeprefix("model."),
        lambda name: name if name.startswith("model.") else f"model.{name}",
        lambda name: f"language_model.{name}",
        lambda name: f"model.language_model.{name.removeprefix('model.')}",
    ],
    ids=["bare", "head inside", "language_model", "model.language_model"],
)
def test_names_with_other_prefixes_are_the_same_tensors(
    folder: Path, rename: Callable[[str], str]
) -> None:
    peer = theirs(folder)
    rewrite(folder, lambda tensors: {rename(name): tensor for name, tensor in tensors.items()})
    assert_close(logits(opened(folder)), peer_logits(peer, TOKENS), 1e-4)


def test_a_tensor_under_two_names_is_refused_and_parts_for_images_are_noted(folder: Path) -> None:
    rewrite(folder, lambda t: t | {"vision_tower.patch.weight": torch.ones(4)})
    assert opened(folder).notes == ("not read: 1 tensors that see images",)
    rewrite(folder, lambda t: t | {UP.removeprefix("model."): t[UP].clone()})
    assert "is there as" in refusal(folder)
