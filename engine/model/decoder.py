"""The decoder: token ids in, hidden states out, keys and values into the paged cache.

One class for every architecture; what differs is a flag in `ModelConfig` or a layer made by
another precision. No module tree: a step is a short list of tensor operations, and every one
that is not there is time saved at small batches.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels.attention import AttentionGroup, paged_attention
from ..precision.levels import base_dtype, base_precision, pack
from ..precision.linear import Linear, storage_bytes
from ..protocol import PrecisionName
from .config import ModelConfig
from .rope import RotaryTable
from .weights import LayerWeights, MasterWeights, Projection


@dataclass(frozen=True, slots=True)
class StepInput:
    """One step's rows. `tokens`, `positions` and `slots` are `[rows]`.

    `slots` says where in the KV cache, counted in tokens, each row's keys and values go.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    groups: list[AttentionGroup]


@dataclass(frozen=True, slots=True)
class DecoderLayer:
    """One transformer block at one precision."""

    qkv: Linear
    output: Linear
    gate_up: Linear
    down: Linear
    input_norm: Tensor
    post_attention_norm: Tensor

    @classmethod
    def from_master(
        cls, master: LayerWeights, precision: PrecisionName, device: torch.device
    ) -> "DecoderLayer":
        dtype = base_dtype(precision)
        return cls(
            qkv=pack(master.qkv, precision, device),
            output=pack(master.output, precision, device),
            gate_up=pack(master.gate_up, precision, device),
            down=pack(master.down, precision, device),
            input_norm=master.input_norm.to(device, dtype),
            post_attention_norm=master.post_attention_norm.to(device, dtype),
        )

    def projections(self) -> tuple[Linear, ...]:
        return self.qkv, self.output, self.gate_up, self.down


class Decoder:
    """A model at one precision on one device."""

    def __init__(
        self,
        master: MasterWeights,
        precision: PrecisionName,
        device: torch.device,
        context_tokens: int,
    ) -> None:
        config = master.config
        dtype = base_dtype(precision)
        self.config: ModelConfig = config
        self.precision = precision
        self.device = device
        self.dtype = dtype
        self.embedding = master.embedding.to(device, dtype)
        # A tied head shares the embedding's storage, except where the CPU keeps it packed as well.
        head = self.embedding if config.tied_embeddings else master.head
        self.head = pack(Projection(head), base_precision(precision), device)
        self.final_norm = master.final_norm.to(device, dtype)
        self.layers = [
            DecoderLayer.from_master(layer, precision, device) for layer in master.layers
        ]
        self.rope = RotaryTable(config, context_tokens, device, dtype)

    @torch.inference_mode()
    def forward(self, step: StepInput, kv_cache: list[Tensor]) -> Tensor:
        """Run the layers over a step's rows and write their keys and values.

        `kv_cache` has one `[blocks, block_tokens, 2, kv_heads, head_dim]` a layer. Returns hidden
        states `[rows, hidden]`, not yet through the final norm.
        """
        config = self.config
        rows, norm_shape = step.tokens.shape[0], (config.hidden,)
        heads, kv_heads, head_dim = config.heads, config.kv_heads, config.head_dim
        hidden = F.embedding(step.tokens, self.embedding)
        cos, sin = self.rope.at(step.positions)
        for layer, kv_blocks in zip(self.layers, kv_cache, strict=True):
            x = F.rms_norm(hidden, norm_shape, layer.input_norm, config.rms_norm_eps)
            qkv = layer.qkv(x).view(rows, heads + 2 * kv_heads, head_dim)
            qkv = self.rope.rotate(qkv, cos, sin)
            cache_rows = kv_blocks.view(-1, 2 * kv_heads, head_dim)
            kept = qkv[:, heads:]
            if self.dtype is torch.float16:
                # What overflowed stays with its own sequence: the next owner of the block masks it
                # out, but a masked NaN or infinity would still spread.
                kept = kept.nan_to_num()
            cache_rows.index_copy_(0, step.slots, kept)
            attended = paged_attention(qkv[:, :heads], kv_blocks, step.groups)
            hidden = hidden + layer.output(attended)
            x = F.rms_norm(hidden, norm_shape, layer.post_attention_norm, config.rms_norm_eps)
            gate, up = layer.gate_up(x).chunk(2, dim=-1)
            hidden = hidden + layer.down(F.silu(gate).mul_(up))
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Logits `[rows, vocabulary]` of hidden states `[rows, hidden]`, in the base dtype."""
        config = self.config
        x = F.rms_norm(hidden, (config.hidden,), self.final_norm, config.rms_norm_eps)
        return self.head(x)

    @property
    def quantized_bytes(self) -> int:
        """Bytes of the layers that the precision packs, from storage."""
        return storage_bytes(
            [t for layer in self.layers for p in layer.projections() for t in p.tensors()]
        )

    @property
    def weights_bytes(self) -> int:
        """Bytes of all weights, from storage."""
        norms = [n for layer in self.layers for n in (layer.input_norm, layer.post_attention_norm)]
        others = [self.embedding, *self.head.tensors(), self.final_norm, *norms]
        return self.quantized_bytes + storage_bytes(others)
