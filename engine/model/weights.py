"""The master copy of a model's weights, in the dtype of its checkpoint, on the host.

Projections that read the same input are fused (query, key and value; gate and up): one matmul
instead of three or two. Every precision level is made from this copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .config import ModelConfig


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear layer: `weight [out, in]` and, where the model has one, `bias [out]`."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One transformer block. `qkv` stacks query, key, value rows; `gate_up` gate, then up."""

    qkv: Projection
    output: Projection
    gate_up: Projection
    down: Projection
    input_norm: Tensor
    post_attention_norm: Tensor


@dataclass(frozen=True, slots=True)
class MasterWeights:
    """A whole model. With tied embeddings `head` is `embedding` itself, `[vocabulary, hidden]`."""

    config: ModelConfig
    embedding: Tensor
    layers: list[LayerWeights]
    final_norm: Tensor
    head: Tensor

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.dtype


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a checkpoint's tensor goes: rows `start …` of a fused `target`."""

    target: Tensor
    start: int
    shape: tuple[int, ...]

    def fill(self, tensor: Tensor) -> None:
        self.target[self.start : self.start + self.shape[0]].copy_(tensor)


def allocate(config: ModelConfig, dtype: torch.dtype) -> MasterWeights:
    """Uninitialized master weights of `config`'s shape."""

    def projection(rows: int, columns: int, bias: bool) -> Projection:
        return Projection(
            torch.empty(rows, columns, dtype=dtype),
            torch.empty(rows, dtype=dtype) if bias else None,
        )

    def layer() -> LayerWeights:
        hidden, attention = config.hidden, config.heads * config.head_dim
        return LayerWeights(
            qkv=projection(config.qkv_rows, hidden, config.qkv_bias),
            output=projection(hidden, attention, config.output_bias),
            gate_up=projection(2 * config.intermediate, hidden, config.mlp_bias),
            down=projection(hidden, config.intermediate, config.mlp_bias),
            input_norm=torch.empty(hidden, dtype=dtype),
            post_attention_norm=torch.empty(hidden, dtype=dtype),
        )

    embedding = torch.empty(config.vocabulary, config.hidden, dtype=dtype)
    return MasterWeights(
        config=config,
        embedding=embedding,
        layers=[layer() for _ in range(config.layers)],
        final_norm=torch.empty(config.hidden, dtype=dtype),
        head=embedding if config.tied_embeddings else torch.empty_like(embedding),
    )


def checkpoint_slots(weights: MasterWeights) -> Iterator[tuple[str, Slot]]:
    """Every tensor name of a Hugging Face Llama checkpoint, and where its values go."""

    def whole(name: str, target: Tensor) -> tuple[str, Slot]:
        return name, Slot(target, 0, tuple(target.shape))

    config = weights.config
    query, key_value = config.heads * config.head_dim, config.kv_heads * config.head_dim
    yield whole("model.embed_tokens.weight", weights.embedding)
    yield whole("model.norm.weight", weights.final_norm)
    if not config.tied_embeddings:
        yield whole("lm_head.weight", weights.head)
    for index, layer in enumerate(weights.layers):
        prefix = f"model.layers.{index}"
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        yield whole(f"{prefix}.input_layernorm.weight", layer.input_norm)
        yield whole(f"{prefix}.post_attention_layernorm.weight", layer.post_attention_norm)
        yield from _parts(
            layer.qkv,
            {f"{attention}.q_proj": query, f"{attention}.k_proj": key_value}
            | {f"{attention}.v_proj": key_value},
        )
        yield from _parts(layer.output, {f"{attention}.o_proj": config.hidden})
        yield from _parts(
            layer.gate_up,
            {f"{mlp}.gate_proj": config.intermediate, f"{mlp}.up_proj": config.intermediate},
        )
        yield from _parts(layer.down, {f"{mlp}.down_proj": config.hidden})


def _parts(fused: Projection, rows_by_name: dict[str, int]) -> Iterator[tuple[str, Slot]]:
    start = 0
    for name, rows in rows_by_name.items():
        yield f"{name}.weight", Slot(fused.weight, start, (rows, fused.weight.shape[1]))
        if fused.bias is not None:
            yield f"{name}.bias", Slot(fused.bias, start, (rows,))
        start += rows


_POOL_SIZE = (1 << 20) + 7
"""Random values to draw tensors from; odd, so that rows of a weight do not repeat in step."""


def dummy_weights(config: ModelConfig, dtype: torch.dtype, seed: int = 0) -> MasterWeights:
    """Random weights of `config`'s shape: for speed and memory, not for text.

    Tensors are filled from one pool of normal values, each from another offset: drawing billions of
    values anew would take minutes.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = allocate(config, dtype)
    pool = torch.empty(_POOL_SIZE).normal_(0.0, config.hidden**-0.5, generator=generator).to(dtype)
    for name, slot in checkpoint_slots(weights):
        part = slot.target[slot.start : slot.start + slot.shape[0]]
        if name.endswith("norm.weight"):
            part.fill_(1.0)
        else:
            offset = int(torch.randint(_POOL_SIZE, (), generator=generator))
            _fill_from(part.view(-1), pool.roll(offset))
    return weights


def _fill_from(target: Tensor, pool: Tensor) -> None:
    """Repeat `pool` over the flat `target`."""
    whole = target.numel() // pool.numel() * pool.numel()
    target[:whole].view(-1, pool.numel()).copy_(pool)
    target[whole:].copy_(pool[: target.numel() - whole])
