"""Tiny GGUF files, written by the `gguf` package from models that `transformers` made."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from checkpoints import write_tokenizer
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray
from transformers import PreTrainedModel

Type = GGMLQuantizationType
Values = dict[str, object]

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ eos_token }}"

NAMES = {
    "embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """The name that a converter gives to a parameter of transformers'."""
    stem, _, end = name.rpartition(".")
    bare = stem.removeprefix("model.layers.")
    if bare == stem:
        return f"{NAMES[stem if stem in NAMES else stem.removeprefix('model.')]}.{end}"
    layer, _, part = bare.partition(".")
    return f"blk.{layer}.{NAMES[part]}.{end}"


def permuted(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """As `LlamaModel.permute` of llama.cpp's converter reorders a head's rows."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def round_as(model: PreTrainedModel, kind: Type) -> None:
    """Give a model's matrices the values that a file of type `kind` stores of them.

    The same as rounding permuted ones: a permutation moves whole rows, a block lies in one.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2 and kind is not Type.F32:
                values = dequantize(quantize(parameter.numpy(), kind), kind)
                parameter.copy_(torch.from_numpy(values))


def metadata_of(model: PreTrainedModel) -> Values:
    """The keys of the architecture and of the file."""
    config = model.config
    name = config.model_type
    heads = config.num_attention_heads
    return {
        "general.name": "tiny",
        f"{name}.block_count": config.num_hidden_layers,
        f"{name}.context_length": config.max_position_embeddings,
        f"{name}.embedding_length": config.hidden_size,
        f"{name}.feed_forward_length": config.intermediate_size,
        f"{name}.attention.head_count": heads,
        f"{name}.attention.head_count_kv": config.num_key_value_heads,
        f"{name}.attention.key_length": getattr(config, "head_dim", config.hidden_size // heads),
        f"{name}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{name}.rope.freq_base": float(config.rope_parameters["rope_theta"]),
    }


def byte_level_metadata(folder: Path, pre: str = "gpt-2") -> Values:
    """The keys of the tests' trained tokenizer, written into `folder` as well."""
    tokenizer = write_tokenizer(folder)
    model = json.loads(tokenizer.to_str())["model"]
    ids = tokenizer.get_vocab()
    tokens = sorted(ids, key=lambda token: ids[token])
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, *[1] * (len(tokens) - 1)],
        "tokenizer.ggml.merges": [" ".join(merge) for merge in model["merges"]],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": TEMPLATE,
    }


def tensors_of(model: PreTrainedModel) -> dict[str, NDArray[np.float32]]:
    """A model's tensors as a converter writes them, vectors and matrices in fp32."""
    config = model.config
    turned = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    tensors = {}
    for name, parameter in model.named_parameters():
        called = gguf_name(name)
        values = parameter.detach().numpy()
        part = called.split(".")[-2]
        if config.model_type == "llama" and part in turned:
            values = permuted(values, turned[part])
        tensors[called] = np.ascontiguousarray(values)
    return tensors


def write_gguf(
    path: Path,
    architecture: str,
    metadata: Mapping[str, object],
    tensors: Mapping[str, NDArray[np.float32]],
    kind: Type = Type.F32,
) -> Path:
    """Write a file: matrices as `kind`, vectors in fp32."""
    writer = GGUFWriter(path, architecture)
    for key, value in metadata.items():
        _add(writer, key, value)
    for name, values in tensors.items():
        if values.ndim == 1 or kind is Type.F32:
            writer.add_tensor(name, values)
        elif kind is Type.F16:
            writer.add_tensor(name, values.astype(np.float16))
        else:
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: GGUFWriter, key: str, value: object) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)


def write_model(path: Path, model: PreTrainedModel, kind: Type = Type.F32, **more: object) -> Path:
    """Write `model` with the tests' tokenizer. Keys of `more`: `__` is a dot, None leaves out."""
    extra = {key.replace("__", "."): value for key, value in more.items()}
    metadata = metadata_of(model) | byte_level_metadata(path.parent) | extra
    kept = {key: value for key, value in metadata.items() if value is not None}
    return write_gguf(path, model.config.model_type, kept, tensors_of(model), kind)
