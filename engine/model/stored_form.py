"""What the files of a checkpoint hold, where that decides the shape: a tied head, 4-bit layers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from ..protocol.errors import CheckpointError
from ..shape.model_shape import ModelShape
from ..shape.parts import TensorNames
from .stored_tensors import StoredTensor, open_safetensors

HEAD = "lm_head.weight"
_ROWS = 4096
"""How many rows of head and embedding are compared at once."""

_Parts = Mapping[str, tuple[str, ...]]

_GPT2_PARTS: _Parts = {
    "qkv": ("attn.c_attn",),
    "output": ("attn.c_proj",),
    "gate_up": ("mlp.c_fc",),
    "down": ("mlp.c_proj",),
}
_LLAMA_PARTS: _Parts = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
_PHI3_PARTS: _Parts = {
    **_LLAMA_PARTS,
    "qkv": ("self_attn.qkv_proj",),
    "gate_up": ("mlp.gate_up_proj",),
}


def settle_form(
    folder: Path, config: ModelShape, tensors: Mapping[str, StoredTensor]
) -> tuple[ModelShape, dict[str, StoredTensor], list[str]]:
    """`config` as the files have it, the tensors that are to be read, and notes on differences.

    Raises:
        CheckpointError: parts that are computed together, of which only some are in 4 bits, or an
            untied head that is not there.
    """
    config, kept, notes = _settle_head(folder, config, dict(tensors))
    if config.stored.int4 is not None:
        config, more = _settle_int4(folder, config, kept)
        notes += more
    return config, kept, notes


def _settle_head(
    folder: Path, config: ModelShape, tensors: dict[str, StoredTensor]
) -> tuple[ModelShape, dict[str, StoredTensor], list[str]]:
    """Tied or not, as in transformers: a head that differs from the embedding is no copy of it.

    A tied head without the embedding stands for both.
    """
    gpt2 = config.stored.names is TensorNames.GPT2
    name = "wte.weight" if gpt2 else "model.embed_tokens.weight"
    head, embedding = tensors.get(HEAD), tensors.get(name)
    if not config.tied_embeddings:
        if head is None and embedding is not None and "lm_head.qweight" not in tensors:
            raise CheckpointError(
                f"{folder}: the checkpoint has no tensor {HEAD!r}, and config.json says that the "
                "head is not tied to the embedding (`tie_word_embeddings`)"
            )
        return config, tensors, []
    if head is None:
        return config, tensors, []
    if embedding is None:
        tensors[name] = tensors.pop(HEAD)
        return config, tensors, []
    if _equal(head, embedding):
        del tensors[HEAD]
        return config, tensors, []
    note = "the head is not tied, as config.json says: the file holds another than the embedding"
    return replace(config, tied_embeddings=False), tensors, [note]


def _equal(one: StoredTensor, other: StoredTensor) -> bool:
    if one.shape != other.shape or len(one.shape) != 2:
        return False
    with open_safetensors(one.file) as first, open_safetensors(other.file) as second:
        parts = first.get_slice(one.name), second.get_slice(other.name)
        return all(
            torch.equal(parts[0][row : row + _ROWS].float(), parts[1][row : row + _ROWS].float())
            for row in range(0, one.shape[0], _ROWS)
        )


def _settle_int4(
    folder: Path, config: ModelShape, tensors: Mapping[str, StoredTensor]
) -> tuple[ModelShape, list[str]]:
    """`config` with the projections that are not in 4 bits, whichever setting excluded them."""
    dense: set[str] = set()
    total = 0
    for fused, names in _fused_parts(config):
        total += 1
        whole = [name for name in names if f"{name}.weight" in tensors]
        packed = [name for name in names if f"{name}.qweight" in tensors]
        both = set(whole) & set(packed)
        if both:
            raise CheckpointError(f"{folder}: {min(both)!r} is there in 4 bits and without")
        if whole and packed:
            raise CheckpointError(
                f"{folder}: {packed[0]!r} is in 4 bits and {whole[0]!r} is not; the two are "
                "computed together, and must be stored alike to be served"
            )
        if whole:
            dense.add(fused)
    if not dense:
        return config, []
    int4 = config.stored.int4
    assert int4 is not None
    form = replace(int4, dense=frozenset(dense)) if len(dense) < total else None
    note = f"{len(dense)} of {total} projections are not stored in 4 bits, and stay dense at int4"
    if form is None:
        note = "no projection is stored in 4 bits, whatever `quantization_config` says"
    return replace(config, stored=replace(config.stored, int4=form)), [note]


def _fused_parts(config: ModelShape) -> Iterator[tuple[str, list[str]]]:
    """Each fused projection as `Int4Form.dense` names it, and the canonical names of its parts."""
    match config.stored.names:
        case TensorNames.GPT2:
            parts, prefix = _GPT2_PARTS, "h"
        case TensorNames.PHI3:
            parts, prefix = _PHI3_PARTS, "model.layers"
        case TensorNames.LLAMA:
            parts, prefix = _LLAMA_PARTS, "model.layers"
    for layer in range(config.layers):
        for fused, names in parts.items():
            yield f"{layer}.{fused}", [f"{prefix}.{layer}.{name}" for name in names]
