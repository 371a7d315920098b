"""The decoder's operations in plain PyTorch: the path on the CPU, and the reference for kernels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels.attention import AttentionGroup, paged_attention
from ..precision.linear import Linear
from .ops import AttentionSpec, Norm
from .rope import RotaryTable


@dataclass(frozen=True, slots=True)
class StepInput:
    """One step's rows. `tokens`, `positions` and `slots` are `[rows]`.

    `slots` says where in the KV cache, counted in tokens, each row's keys and values go.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    groups: list[AttentionGroup]


class TorchOps:
    """The operations of one step: `StepOps`."""

    def __init__(self, step: StepInput, rope: RotaryTable) -> None:
        self._step = step
        self._rope = rope
        self._cos, self._sin = rope.at(step.positions)

    def norm(self, hidden: Tensor, norm: Norm) -> Tensor:
        return F.rms_norm(hidden, norm.weight.shape, norm.weight, norm.eps)

    def norm_linear(self, hidden: Tensor, norm: Norm, linear: Linear) -> Tensor:
        return linear(self.norm(hidden, norm))

    def rotate_and_store(self, qkv: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        qkv = qkv.view(-1, spec.heads + 2 * spec.kv_heads, spec.head_dim)
        qkv = self._rope.rotate(qkv, self._cos, self._sin)
        kept = qkv[:, spec.heads :]
        if qkv.dtype is torch.float16:
            # What overflowed stays with its own sequence: the next owner of the block masks it
            # out, but a masked NaN or infinity would still spread.
            kept = kept.nan_to_num()
        cache_rows = kv_blocks.view(-1, 2 * spec.kv_heads, spec.head_dim)
        cache_rows.index_copy_(0, self._step.slots, kept)
        return qkv[:, : spec.heads]

    def attention(self, q: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        return paged_attention(q, kv_blocks, self._step.groups)

    def linear_add(self, x: Tensor, linear: Linear, residual: Tensor) -> Tensor:
        return residual + linear(x)

    def norm_gated_linear(self, hidden: Tensor, norm: Norm, linear: Linear) -> Tensor:
        gate, up = linear(self.norm(hidden, norm)).chunk(2, dim=-1)
        return F.silu(gate).mul_(up)
