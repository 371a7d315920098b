"""Tiny random Llama checkpoints, written by `transformers`, and a small trained tokenizer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

END_OF_TEXT = "<|end|>"
END_OF_TEXT_ID = 0
VOCABULARY = 320
WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"

TRAINING_TEXT = [
    "The river ran past the old mill, and the miller slept.",
    "She said: “Où est le café?” – and laughed. Ça va?",
    "日本語のテキストと、русский текст, and 🙂🚀 beside it.",
]


@dataclass(frozen=True)
class TinyShape:
    """What differs between the checkpoints under test."""

    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    hidden: int = 64
    intermediate: int = 96
    layers: int = 2
    tied: bool = False
    bias: bool = False
    rope: Mapping[str, object] | None = None
    context_tokens: int = 256


LLAMA3_ROPE: Mapping[str, object] = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
"""With so short an original context all three bands of the scaling meet a test's positions."""


def make_peer(shape: TinyShape, seed: int = 0) -> LlamaForCausalLM:
    """A random fp32 Llama whose logits are of order 1, so that a difference shows."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.context_tokens,
        tie_word_embeddings=shape.tied,
        attention_bias=shape.bias,
        mlp_bias=shape.bias,
        # Far above the customary 1e-5, so that leaving it out shows in the logits.
        rms_norm_eps=1e-2,
        rope_parameters=dict(shape.rope or {"rope_type": "default", "rope_theta": 10_000.0}),
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TEXT_ID,
    )
    peer = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            if parameter.ndim == 1:
                centre = 1.0 if "norm" in name else 0.0
                parameter.normal_(centre, 0.3, generator=generator)
            else:
                # Twice the customary scale: attention that prefers some keys to others.
                parameter.normal_(0.0, 2 * parameter.shape[1] ** -0.5, generator=generator)
    return peer


def write_checkpoint(
    folder: Path, shape: TinyShape, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> LlamaForCausalLM:
    """Write a random model of `shape` to `folder`, and return it in the dtype written."""
    peer = make_peer(shape, seed)
    torch.nn.Module.to(peer, dtype)
    peer.save_pretrained(folder)
    return peer


def peer_logits(peer: PreTrainedModel, tokens: list[int]) -> Tensor:
    """Logits `[tokens, vocabulary]` of one sequence on its own."""
    with torch.no_grad():
        logits: Tensor = peer(torch.tensor([tokens])).logits[0]
    return logits


def shard(folder: Path, count: int) -> list[str]:
    """Split a folder's weights over `count` files with an index, and return the file names."""
    tensors = load_file(folder / WEIGHTS_NAME)
    names = [f"model-{n + 1:05}-of-{count:05}.safetensors" for n in range(count)]
    placed = {tensor: names[i % count] for i, tensor in enumerate(sorted(tensors))}
    for name in names:
        save_file({key: tensors[key] for key in tensors if placed[key] == name}, folder / name)
    (folder / WEIGHTS_NAME).unlink()
    (folder / INDEX_NAME).write_text(json.dumps({"weight_map": placed}))
    return names


def write_tokenizer(folder: Path) -> Tokenizer:
    """Train a byte-level BPE, for which every byte sequence is text, into `tokenizer.json`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAINING_TEXT, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer
