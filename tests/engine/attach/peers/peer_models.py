"""Tiny models for the servers of others: random ones, all of whose tokens are text at once."""

import json
from pathlib import Path

import torch
from checkpoints import TinyShape, make_peer, write_tokenizer
from gguf_samples import write_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaForCausalLM

SHAPE = TinyShape(hidden=128, head_dim=64, heads=2, kv_heads=1, context_tokens=4096)
"""vLLM's attention on a CPU knows heads of 32 elements and more; llama.cpp takes a head's length
from the width."""
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
WORDS = 2500
"""Dynamo's mocker answers with tokens from 1,000 to 2,000, whatever the model is."""


def talking_model(tokenizer: Tokenizer) -> LlamaForCausalLM:
    """A random model whose likeliest token is always one of letters alone.

    Servers hold back a token whose bytes are no whole character yet: a client would see fewer
    pieces than there are tokens, and later than they were made.
    """
    model = make_peer(SHAPE)
    letters = [
        id_ for text, id_ in tokenizer.get_vocab().items() if text.isascii() and text.isalpha()
    ]
    with torch.no_grad():
        kept = torch.zeros(model.lm_head.weight.shape[0], 1)
        kept[letters] = 1.0
        model.lm_head.weight.mul_(kept)
    return model


def write_folder(folder: Path) -> Path:
    """A checkpoint as `transformers` and vLLM read it."""
    folder.mkdir(parents=True, exist_ok=True)
    talking_model(write_tokenizer(folder)).save_pretrained(folder)
    _write_tokenizer_config(folder)
    return folder


def write_gguf_file(path: Path) -> Path:
    """The same model as llama.cpp reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_model(path, talking_model(write_tokenizer(path.parent)))


def write_words(folder: Path) -> Path:
    """A model whose tokens are words, as Dynamo's mocker reads it: it computes nothing with it."""
    folder.mkdir(parents=True, exist_ok=True)
    words = {"<|end|>": 0, **{f"w{number}": number for number in range(1, WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<|end|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    make_peer(SHAPE).save_pretrained(folder)
    _write_tokenizer_config(folder)
    return folder


def _write_tokenizer_config(folder: Path) -> None:
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|end|>",
        "eos_token": "<|end|>",
        "model_max_length": SHAPE.context_tokens,
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(fields))
