"""The decoder: token ids in, hidden states out, keys and values into the paged cache.

One class for every architecture; what differs is a flag in `ModelShape` or a layer made by
another precision. No module tree: a step is a short list of tensor operations, and every one
that is not there is time saved at small batches.
"""

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.rope import RotaryTable, local_rope_config
from ..ops.step_ops import AttentionSpec, Norm, StepOps
from ..ops.torch_ops import activate
from ..precision.int4_rounding import Int4Rounding
from ..precision.levels import base_dtype, base_precision, layer_precision, pack
from ..precision.linear import Linear, storage_bytes
from ..precision.projection import AnyProjection, Projection
from ..protocol import PrecisionName
from ..shape.model_shape import ModelShape
from .weights import LayerWeights, MasterWeights, NormWeights


@dataclass(frozen=True, slots=True)
class DecoderLayer:
    """One transformer block at one precision."""

    attention: AttentionSpec
    qkv: Linear
    output: Linear
    gate_up: Linear
    down: Linear
    attention_norm: Norm
    mlp_norm: Norm
    attention_output_norm: Norm | None
    mlp_output_norm: Norm | None

    def projections(self) -> tuple[Linear, ...]:
        return self.qkv, self.output, self.gate_up, self.down

    def kind(self) -> tuple[object, ...]:
        """Equal for layers that differ in their weights' values alone."""
        spec, norms = self.attention, self.norms()
        tensors = [tensor for linear in self.projections() for tensor in linear.tensors()]
        return (
            (spec.window, spec.local_rope, spec.scale, spec.softcap),
            tuple(norm.bias is None for norm in norms),
            tuple(type(linear) for linear in self.projections()),
            tuple((tensor.shape, tensor.dtype) for tensor in tensors),
        )

    def norms(self) -> list[Norm]:
        norms = (
            self.attention_norm,
            self.mlp_norm,
            self.attention_output_norm,
            self.mlp_output_norm,
            self.attention.query_norm,
            self.attention.key_norm,
        )
        return [norm for norm in norms if norm is not None]


class Decoder:
    """A model at one precision on one device, for sequences of up to `context_tokens`."""

    def __init__(
        self,
        master: MasterWeights,
        precision: PrecisionName,
        device: torch.device,
        context_tokens: int,
        int4: Int4Rounding | None = None,
    ) -> None:
        """`int4` rounds the layers at int4 in another way than what is served."""
        config = master.config
        dtype = base_dtype(precision)
        self.config: ModelShape = config
        self.precision = precision
        self.device = device
        self.dtype = dtype
        self.context_tokens = context_tokens
        self.embedding = master.embedding.to(device, dtype)
        # A tied head shares the embedding's storage, except where the CPU keeps it packed as well.
        head = self.embedding if config.tied_embeddings else master.head
        self.head = pack(Projection(head), base_precision(precision), device)
        scale = config.embedding_scale
        # Rounded as in training, where it was a number of the weights' dtype.
        self._embedding_scale = None if scale is None else torch.tensor(scale, dtype=dtype).item()
        self.learned_positions = (
            None if master.positions is None else master.positions.to(device, dtype)
        )
        self.final_norm = self._norm(master.final_norm)
        self._int4 = int4
        self.layers = [self._layer(index, layer) for index, layer in enumerate(master.layers)]

    @cached_property
    def rope(self) -> RotaryTable | None:
        """What plain PyTorch turns by; `None` where positions are learned.

        Made when it is asked for: kernels have tables of their own.
        """
        return None if self.config.learned_positions else self._rotary_table(self.config)

    @cached_property
    def local_rope(self) -> RotaryTable | None:
        """The second table, of the layers that ask for it; `None` where the model has one."""
        if self.config.local_rope_theta is None:
            return None
        return self._rotary_table(local_rope_config(self.config))

    def _rotary_table(self, config: ModelShape) -> RotaryTable:
        return RotaryTable(config, self.context_tokens, self.device, self.dtype)

    def _layer(self, index: int, master: LayerWeights) -> DecoderLayer:
        return DecoderLayer(
            attention=self._attention(index, master),
            qkv=self._pack(master.qkv),
            output=self._pack(master.output),
            gate_up=self._pack(master.gate_up),
            down=self._pack(master.down),
            attention_norm=self._norm(master.attention_norm),
            mlp_norm=self._norm(master.mlp_norm),
            attention_output_norm=self._optional_norm(master.attention_output_norm),
            mlp_output_norm=self._optional_norm(master.mlp_output_norm),
        )

    def _pack(self, projection: AnyProjection) -> Linear:
        stored_in_4_bits = self.config.stored.int4 is not None
        level = layer_precision(projection, self.precision, stored_in_4_bits)
        return pack(projection, level, self.device, self._int4)

    def _attention(self, index: int, master: LayerWeights) -> AttentionSpec:
        config = self.config
        window = config.window_of(index)
        return AttentionSpec(
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            scale=config.attention_scale,
            # A window as wide as the longest sequence hides nothing.
            window=None if window is None or window >= self.context_tokens else window,
            softcap=config.attention_softcap,
            query_norm=self._optional_norm(master.query_norm),
            key_norm=self._optional_norm(master.key_norm),
            local_rope=config.local_rope_theta is not None and index in config.sliding_layers,
        )

    def _norm(self, master: NormWeights) -> Norm:
        bias = None if master.bias is None else master.bias.to(self.device, self.dtype)
        return Norm(master.weight.to(self.device, self.dtype), self.config.norm_eps, bias)

    def _optional_norm(self, master: NormWeights | None) -> Norm | None:
        return None if master is None else self._norm(master)

    def of_distinct_layers(self) -> "Decoder":
        """The same with one layer of each kind: all that it launches, in a fraction of the time.

        And the last one, of which a step may want a few rows alone.
        """
        short = copy(self)
        kinds = {layer.kind(): layer for layer in reversed(self.layers[:-1])}
        short.layers = [*kinds.values(), self.layers[-1]]
        return short

    @property
    def windows(self) -> frozenset[int]:
        """The sliding windows, in tokens, that its layers see through."""
        windows = (layer.attention.window for layer in self.layers)
        return frozenset(window for window in windows if window is not None)

    @torch.inference_mode()
    def forward(
        self,
        tokens: Tensor,
        ops: StepOps,
        kv_cache: list[Tensor],
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Run the layers over a step's rows and write their keys and values.

        `tokens` is `[rows]`; `kv_cache` has one `[blocks, block_tokens, 2, kv_heads, head_dim]` a
        layer. Returns hidden states `[rows, hidden]`, not yet through the final norm; or those of
        the rows `wanted` alone, in its order: of the others the last layer needs no more than keys
        and values, and of a prompt that is nearly all of them.
        """
        hidden = self.embed(tokens, ops)
        for layer, kv_blocks in zip(self.layers, kv_cache, strict=True):
            last = layer is self.layers[-1]
            hidden = self.through(layer, hidden, ops, kv_blocks, wanted if last else None)
        return hidden

    def embed(self, tokens: Tensor, ops: StepOps) -> Tensor:
        """What the first layer sees of a step's rows: `[rows]` to `[rows, hidden]`."""
        hidden = ops.embed(tokens, self.embedding)
        if self._embedding_scale is not None:
            hidden = hidden * self._embedding_scale
        if self.learned_positions is not None:
            hidden = hidden + F.embedding(ops.positions, self.learned_positions)
        return hidden

    def through(
        self,
        layer: DecoderLayer,
        hidden: Tensor,
        ops: StepOps,
        kv_blocks: Tensor,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """One layer over `[rows, hidden]`; the result of the rows `wanted`, or of all."""
        qkv = ops.norm_linear(hidden, layer.attention_norm, layer.qkv)
        attended = ops.attend(qkv, layer.attention, kv_blocks)
        if wanted is not None:
            hidden, attended = (x.index_select(0, wanted) for x in (hidden, attended))
            if not len(wanted):
                return hidden
        hidden = _add(ops, attended, layer.output, layer.attention_output_norm, hidden)
        inner = self._inner(ops, hidden, layer)
        return _add(ops, inner, layer.down, layer.mlp_output_norm, hidden)

    def _inner(self, ops: StepOps, hidden: Tensor, layer: DecoderLayer) -> Tensor:
        """The MLP up to its last projection: `[rows, intermediate]`."""
        activation = self.config.activation
        if self.config.gated_mlp:
            return ops.norm_gated_linear(hidden, layer.mlp_norm, layer.gate_up, activation)
        return activate(ops.norm_linear(hidden, layer.mlp_norm, layer.gate_up), activation)

    @torch.inference_mode()
    def logits(self, hidden: Tensor, ops: StepOps) -> Tensor:
        """Logits `[rows, vocabulary]` of hidden states `[rows, hidden]`, in the base dtype."""
        logits = ops.norm_linear(hidden, self.final_norm, self.head)
        cap = self.config.logit_softcap
        return logits if cap is None else (logits / cap).tanh_().mul_(cap)

    def tensors(self) -> list[Tensor]:
        """All weights that a step may read, for counting bytes; some may share their storage."""
        norms = [self.final_norm, *(norm for layer in self.layers for norm in layer.norms())]
        tensors = [self.embedding, *self.head.tensors(), *self._projection_tensors()]
        tensors += [tensor for norm in norms for tensor in norm.tensors()]
        positions = self.learned_positions
        return tensors if positions is None else [*tensors, positions]

    @property
    def quantized_bytes(self) -> int:
        """Bytes of the layers that the precision packs, from storage."""
        return storage_bytes(self._projection_tensors())

    @property
    def matmul_bytes(self) -> int:
        """Bytes of the weights that every step reads: all but the embedding and the norms."""
        return self.quantized_bytes + storage_bytes(self.head.tensors())

    @property
    def weights_bytes(self) -> int:
        """Bytes of all weights, from storage."""
        return storage_bytes(self.tensors())

    @property
    def head_copy_bytes(self) -> int:
        """Bytes that a tied head takes beside the embedding: its weight packed once more, where the
        device computes with another layout; 0 where the two share their storage."""
        if not self.config.tied_embeddings:
            return 0
        both = storage_bytes([self.embedding, *self.head.tensors()])
        return both - storage_bytes([self.embedding])

    def projections(self) -> list[Linear]:
        """The layers that the precision packs."""
        return [linear for layer in self.layers for linear in layer.projections()]

    def _projection_tensors(self) -> list[Tensor]:
        return [tensor for linear in self.projections() for tensor in linear.tensors()]


def _add(
    ops: StepOps, x: Tensor, linear: Linear, output_norm: Norm | None, residual: Tensor
) -> Tensor:
    """`residual` plus what the block makes of `x`, normalized first where the model says so."""
    if output_norm is None:
        return ops.linear_add(x, linear, residual)
    return residual + ops.norm(ops.linear(x, linear), output_norm)
