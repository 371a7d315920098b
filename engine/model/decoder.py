"""The decoder: token ids in, hidden states out, keys and values into the paged cache.

One class for every architecture; what differs is a flag in `ModelConfig` or a layer made by
another precision. No module tree: a step is a short list of tensor operations, and every one
that is not there is time saved at small batches.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision.levels import base_dtype, base_precision, pack
from ..precision.linear import Linear, storage_bytes
from ..protocol import PrecisionName
from .config import ModelConfig
from .ops import AttentionSpec, Norm, StepOps
from .rope import RotaryTable
from .weights import LayerWeights, MasterWeights, Projection


@dataclass(frozen=True, slots=True)
class DecoderLayer:
    """One transformer block at one precision."""

    qkv: Linear
    output: Linear
    gate_up: Linear
    down: Linear
    input_norm: Norm
    post_attention_norm: Norm

    @classmethod
    def from_master(
        cls, master: LayerWeights, eps: float, precision: PrecisionName, device: torch.device
    ) -> "DecoderLayer":
        dtype = base_dtype(precision)
        return cls(
            qkv=pack(master.qkv, precision, device),
            output=pack(master.output, precision, device),
            gate_up=pack(master.gate_up, precision, device),
            down=pack(master.down, precision, device),
            input_norm=Norm(master.input_norm.to(device, dtype), eps),
            post_attention_norm=Norm(master.post_attention_norm.to(device, dtype), eps),
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
        self.final_norm = Norm(master.final_norm.to(device, dtype), config.rms_norm_eps)
        self.layers = [
            DecoderLayer.from_master(layer, config.rms_norm_eps, precision, device)
            for layer in master.layers
        ]
        self.attention = AttentionSpec(config.heads, config.kv_heads, config.head_dim)
        self.rope = RotaryTable(config, context_tokens, device, dtype)

    @torch.inference_mode()
    def forward(self, tokens: Tensor, ops: StepOps, kv_cache: list[Tensor]) -> Tensor:
        """Run the layers over a step's rows and write their keys and values.

        `tokens` is `[rows]`; `kv_cache` has one `[blocks, block_tokens, 2, kv_heads, head_dim]` a
        layer. Returns hidden states `[rows, hidden]`, not yet through the final norm.
        """
        hidden = F.embedding(tokens, self.embedding)
        for layer, kv_blocks in zip(self.layers, kv_cache, strict=True):
            qkv = ops.norm_linear(hidden, layer.input_norm, layer.qkv)
            q = ops.rotate_and_store(qkv, self.attention, kv_blocks)
            attended = ops.attention(q, self.attention, kv_blocks)
            hidden = ops.linear_add(attended, layer.output, hidden)
            gated = ops.norm_gated_linear(hidden, layer.post_attention_norm, layer.gate_up)
            hidden = ops.linear_add(gated, layer.down, hidden)
        return hidden

    @torch.inference_mode()
    def logits(self, hidden: Tensor, ops: StepOps) -> Tensor:
        """Logits `[rows, vocabulary]` of hidden states `[rows, hidden]`, in the base dtype."""
        return ops.norm_linear(hidden, self.final_norm, self.head)

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
        weights = [norm.weight for norm in (self.final_norm, *norms)]
        others = [self.embedding, *self.head.tensors(), *weights]
        return self.quantized_bytes + storage_bytes(others)
