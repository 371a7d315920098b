"""The master copy of a model's weights, in the dtype of its checkpoint.

Projections that read the same input are fused (query, key and value; gate and up): one matmul
instead of three or two. Every precision level is made from this copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..precision.projection import AnyProjection, Projection, allocate_int4
from ..shape.model_shape import ModelShape


@dataclass(frozen=True, slots=True)
class NormWeights:
    """A norm's weight and, for LayerNorm, its bias."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One transformer block. `qkv` stacks query, key, value rows; `gate_up` gate, then up.

    `attention_norm` and `mlp_norm` come before attention and MLP, the output norms behind them.
    """

    qkv: AnyProjection
    output: AnyProjection
    gate_up: AnyProjection
    down: AnyProjection
    attention_norm: NormWeights
    mlp_norm: NormWeights
    query_norm: NormWeights | None = None
    key_norm: NormWeights | None = None
    attention_output_norm: NormWeights | None = None
    mlp_output_norm: NormWeights | None = None

    def projections(self) -> tuple[AnyProjection, ...]:
        return self.qkv, self.output, self.gate_up, self.down

    def norms(self) -> list[NormWeights]:
        optional = (
            self.query_norm,
            self.key_norm,
            self.attention_output_norm,
            self.mlp_output_norm,
        )
        there = [norm for norm in optional if norm is not None]
        return [self.attention_norm, self.mlp_norm, *there]


@dataclass(frozen=True, slots=True)
class MasterWeights:
    """A whole model. With tied embeddings `head` is `embedding` itself, `[vocabulary, hidden]`.

    `positions` is `[context, hidden]` where positions are learned.
    """

    config: ModelShape
    embedding: Tensor
    layers: list[LayerWeights]
    final_norm: NormWeights
    head: Tensor
    positions: Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.dtype

    def norms(self) -> Iterator[NormWeights]:
        for layer in self.layers:
            yield from layer.norms()
        yield self.final_norm

    def projections(self) -> Iterator[AnyProjection]:
        for layer in self.layers:
            yield from layer.projections()

    def tensors(self) -> list[Tensor]:
        """All tensors of the copy, for counting bytes."""
        tensors = [self.embedding, self.head, self.positions]
        for norm in self.norms():
            tensors += [norm.weight, norm.bias]
        for projection in self.projections():
            tensors += projection.tensors()
        return [tensor for tensor in tensors if tensor is not None]


def allocate(config: ModelShape, dtype: torch.dtype) -> MasterWeights:
    """Uninitialized master weights of `config`'s shape."""
    embedding = torch.empty(config.vocabulary, config.hidden, dtype=dtype)
    positions = (
        torch.empty(config.learned_positions, config.hidden, dtype=dtype)
        if config.learned_positions
        else None
    )
    return MasterWeights(
        config=config,
        embedding=embedding,
        layers=[_allocate_layer(config, dtype, layer) for layer in range(config.layers)],
        final_norm=_allocate_norm(config, config.hidden, dtype),
        head=embedding if config.tied_embeddings else torch.empty_like(embedding),
        positions=positions,
    )


def _allocate_layer(config: ModelShape, dtype: torch.dtype, layer: int) -> LayerWeights:
    hidden, head_dim, int4 = config.hidden, config.head_dim, config.stored.int4

    def projection(name: str, rows: int, columns: int, has_bias: bool) -> AnyProjection:
        bias = torch.empty(rows, dtype=dtype) if has_bias else None
        if int4 is not None and f"{layer}.{name}" not in int4.dense:
            return allocate_int4(rows, columns, int4.group, bias)
        return Projection(torch.empty(rows, columns, dtype=dtype), bias)

    def norm(width: int) -> NormWeights:
        return _allocate_norm(config, width, dtype)

    return LayerWeights(
        qkv=projection("qkv", config.qkv_rows, hidden, config.qkv_bias),
        output=projection("output", hidden, config.heads * head_dim, config.output_bias),
        gate_up=projection("gate_up", config.gate_up_rows, hidden, config.mlp_bias),
        down=projection("down", hidden, config.intermediate, config.mlp_bias),
        attention_norm=norm(hidden),
        mlp_norm=norm(hidden),
        query_norm=norm(head_dim) if config.qk_norm else None,
        key_norm=norm(head_dim) if config.qk_norm else None,
        attention_output_norm=norm(hidden) if config.sandwich_norms else None,
        mlp_output_norm=norm(hidden) if config.sandwich_norms else None,
    )


def _allocate_norm(config: ModelShape, width: int, dtype: torch.dtype) -> NormWeights:
    # 1 added to a narrow weight would round away what is stored beside it.
    wide = torch.float32 if config.stored.offset_norms else dtype
    bias = torch.empty(width, dtype=dtype) if config.layer_norm else None
    return NormWeights(torch.empty(width, dtype=wide), bias)
