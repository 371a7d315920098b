"""Whole GGUF files: the logits of the models that were written, and what is refused or noted."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import make_model
from checkpoints import LLAMA3_ROPE, TinyShape, make_peer, peer_logits
from gguf_samples import (
    Type,
    byte_level_metadata,
    metadata_of,
    round_as,
    tensors_of,
    write_gguf,
    write_model,
)
from paged_logits import assert_close, paged_logits, relative_error
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.model.loading import find_shape, load_model
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import BrokenWeightsError, CheckpointError
from prodtop.engine.text.chat_template import ChatMessage
from prodtop.engine.text.tokenizer import VocabularyTokenizer
from transformers import PreTrainedModel

TOKENS = [3, 17, 250, 8, 99, 41, 7, 300, 12, 64, 5, 5, 211, 30, 2, 150, 77, 1, 19, 260]
BIASED = TinyShape(bias=True)


def logits(path: Path, precision: PrecisionName = PrecisionName.FP32) -> torch.Tensor:
    master = load_model(str(path)).master
    decoder = Decoder(master, precision, torch.device("cpu"), 64)
    return paged_logits(decoder, [TOKENS], random.Random(1))[0]


MODELS = {
    "grouped heads": lambda: make_peer(TinyShape()),
    "tied": lambda: make_peer(TinyShape(tied=True)),
    "a head size of its own": lambda: make_peer(
        TinyShape(heads=3, kv_heads=3, head_dim=24, hidden=48)
    ),
    "qwen2": lambda: make_model("qwen2"),
    "qwen3": lambda: make_model("qwen3"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_has_the_logits_of_the_model_that_was_written(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    path = write_model(tmp_path / "m.gguf", model)
    assert_close(logits(path), peer_logits(model, TOKENS), 1e-4)


@pytest.mark.parametrize("kind", [Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1])
def test_of_every_type_the_stored_values_are_computed_with(kind: Type, tmp_path: Path) -> None:
    model = make_peer(TinyShape())
    path = write_model(tmp_path / "m.gguf", model, kind)
    round_as(model, kind)
    assert_close(logits(path), peer_logits(model, TOKENS), 1e-4)


def test_quantized_values_are_kept_in_fp16_where_the_vectors_are_too(tmp_path: Path) -> None:
    model = make_peer(TinyShape())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16().float())
    path = write_model(tmp_path / "m.gguf", model, Type.Q4_1)
    round_as(model, Type.Q4_1)
    exact = peer_logits(model, TOKENS)
    # A value differs by 2^-12 of itself at the most.
    assert relative_error(logits(path), exact) < 5e-3
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    assert_close(logits(path), peer_logits(model, TOKENS), 1e-4)


def test_biases_are_read_and_permuted_with_their_rows(tmp_path: Path) -> None:
    model = make_peer(BIASED)
    path = write_model(tmp_path / "m.gguf", model)
    assert find_shape(str(path)).qkv_bias
    assert_close(logits(path), peer_logits(model, TOKENS), 1e-4)


def test_llama_3s_scaling_is_a_tensor_of_divisors(tmp_path: Path) -> None:
    model = make_peer(TinyShape(rope=LLAMA3_ROPE))
    theta, width = 500.0, 16
    plain = 1.0 / theta ** (torch.arange(0, width, 2).float() / width)
    factors = (plain / model.model.rotary_emb.inv_freq).numpy().astype(np.float32)
    assert factors.max() > 7
    tensors = tensors_of(model) | {"rope_freqs.weight": factors}
    metadata = metadata_of(model) | byte_level_metadata(tmp_path)
    path = write_gguf(tmp_path / "m.gguf", "llama", metadata, tensors)
    assert_close(logits(path), peer_logits(model, TOKENS), 1e-4)


LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.mark.parametrize("rope", [LINEAR, YARN], ids=["linear", "yarn"])
def test_scaled_positions_are_those_of_transformers(
    rope: dict[str, object], tmp_path: Path
) -> None:
    model = make_peer(TinyShape(rope=rope))
    keys = {"llama__rope__scaling__type": rope["rope_type"], "llama__rope__scaling__factor": 4.0}
    if "original_max_position_embeddings" in rope:
        keys["llama__rope__scaling__original_context_length"] = 64
    path = write_model(tmp_path / "m.gguf", model, Type.F32, **keys)
    assert_close(logits(path), peer_logits(model, TOKENS), 1e-4)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(Type.F32, torch.float32), (Type.F16, torch.float16), (Type.BF16, torch.bfloat16)]
    + [(each, torch.float16) for each in (Type.Q8_0, Type.Q4_0, Type.Q4_1)],
)
def test_the_master_copy_has_the_files_own_type_where_no_vector_loses_a_bit(
    kind: Type, dtype: torch.dtype, tmp_path: Path
) -> None:
    model: PreTrainedModel = make_peer(TinyShape())
    assert load_model(str(write_model(tmp_path / "a.gguf", model, kind))).master.dtype is (
        torch.float32
    )
    with torch.no_grad():
        for parameter in model.parameters():
            # Eight bits of mantissa, which every type holds.
            parameter.copy_(parameter.bfloat16().float())
    assert load_model(str(write_model(tmp_path / "b.gguf", model, kind))).master.dtype is dtype


def test_every_precision_is_made_of_it(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf", make_peer(TinyShape()), Type.Q8_0)
    exact = logits(path)
    for precision in (PrecisionName.BF16, PrecisionName.FP16, PrecisionName.INT8):
        assert relative_error(logits(path, precision).float(), exact) < 0.1


def test_name_stops_tokenizer_and_template_are_the_files(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "My-Model.Q8_0.gguf", make_peer(TinyShape()), tokenizer__ggml__eot_token_id=7
    )
    model = load_model(str(path))
    assert model.name == "My-Model.Q8_0"
    assert model.config.eos_token_ids == {0, 7}
    assert isinstance(model.tokenizer, VocabularyTokenizer)
    ids = model.tokenizer.encode("The river ran.")
    assert model.tokenizer.decode(ids) == "The river ran."
    rendered = model.tokenizer.render_chat([ChatMessage("user", "Hi")])
    assert rendered == "<user>Hi<|end|>"
    assert model.notes == ()


def test_what_is_not_used_is_noted_by_its_name(tmp_path: Path) -> None:
    path = write_model(
        tmp_path / "m.gguf", make_peer(TinyShape()), llama__odd="x", tokenizer__ggml__scores=[1.0]
    )
    (note,) = load_model(str(path)).notes
    assert note == "not used: llama.odd, tokenizer.ggml.scores"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"llama__expert_count": 8}, "`llama.expert_count` is 8, which is not computed"),
        ({"llama__logit_scale": 2.0}, "`llama.logit_scale` is 2"),
        ({"llama__attention__sliding_window": 9}, "sliding_window` is not computed"),
        ({"llama__attention__value_length": 8}, "value_length` is 8 and a head has 16"),
        ({"llama__rope__dimension_count": 8}, "dimension_count` is 8 and a head has 16"),
        ({"llama__rope__scaling__type": "odd"}, "'odd' is not supported"),
        ({"llama__block_count": 3}, "the checkpoint has no tensor"),
        ({"llama__block_count": 1}, "has no place in this model"),
        ({"llama__block_count": 2**31}, "`num_hidden_layers` must be 10000 at most"),
        ({"llama__block_count": None}, "`llama.block_count` must be a number, found None"),
        ({"llama__embedding_length": 2**31}, "the model's shape asks for"),
        ({"llama__attention__head_count": "4"}, "must be a number, found '4'"),
        ({"llama__attention__head_count": [4, 4]}, "head_count` must be a number"),
        ({"llama__attention__head_count_kv": 3}, "4 heads cannot share 3"),
        ({"llama__vocab_size": 400}, "token_embd.weight' has shape [320, 64]"),
        ({"split__count": 2}, "is one of 2 parts of a model"),
        ({"general__type": "adapter"}, "holds no model but what it calls 'adapter'"),
        ({"tokenizer__ggml__tokens": None}, "has no tokens"),
        ({"tokenizer__ggml__tokens": ["a", "a"]}, "has a token twice"),
        ({"tokenizer__ggml__model": "bert"}, "the kind 'bert' is not read"),
        ({"tokenizer__ggml__pre": "odd"}, "how it splits a text is not known here"),
        ({"tokenizer__ggml__merges": ["a zzz"]}, "its tokenizer cannot be built"),
        ({"tokenizer__ggml__token_type": [1]}, "must have a number for each token"),
        ({"tokenizer__ggml__bos_token_id": 320}, "is 320, which is no token's"),
        ({"tokenizer__ggml__add_bos_token": "yes"}, "must be true or false"),
    ],
)
def test_what_is_wrong_or_not_computed_is_one_line(
    more: dict[str, object], words: str, tmp_path: Path
) -> None:
    path = write_model(tmp_path / "m.gguf", make_peer(TinyShape()), Type.F32, **more)
    with pytest.raises(CheckpointError) as caught:
        load_model(str(path))
    assert words in str(caught.value)
    assert "m.gguf" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_type_that_is_not_read_and_an_architecture_are_named(tmp_path: Path) -> None:
    metadata = metadata_of(make_peer(TinyShape()))
    tensors = {"a.weight": np.zeros((1, 32), np.float32)}
    path = write_gguf(tmp_path / "q.gguf", "llama", metadata, tensors, Type.Q5_0)
    with pytest.raises(CheckpointError, match=r"Q5_0 is not read .*convert the file to Q8_0"):
        load_model(str(path))
    path = write_gguf(tmp_path / "b.gguf", "bert", metadata, tensors)
    with pytest.raises(CheckpointError, match="has no tokens"):
        load_model(str(path))
    tokens = {"tokenizer.ggml.tokens": ["a"]}
    path = write_gguf(tmp_path / "c.gguf", "bert", metadata | tokens, tensors)
    with pytest.raises(CheckpointError, match="architecture 'bert' is not read from GGUF"):
        load_model(str(path))


def test_values_that_are_no_numbers_are_broken_weights(tmp_path: Path) -> None:
    model = make_peer(TinyShape())
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[3, 3] = float("nan")
    path = write_model(tmp_path / "m.gguf", model)
    with pytest.raises(BrokenWeightsError, match=r"blk\.1\.ffn_down"):
        load_model(str(path))


def test_a_shape_is_enough_for_random_weights(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf", make_peer(TinyShape()), Type.Q8_0)
    assert load_model(str(path), "dummy").config == find_shape(str(path))
