"""The decoder's operations in plain PyTorch: the path on the CPU, and the reference for kernels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..precision.linear import Linear
from ..shape.parts import Activation
from .rope import RotaryTable
from .step_ops import AttentionSpec, Norm
from .torch_attention import AttentionGroup, paged_attention


@dataclass(frozen=True, slots=True)
class StepInput:
    """One step's rows. `tokens`, `positions` and `slots` are int64 `[rows]`.

    A slot is where in the KV cache, counted in tokens, a row's keys and values go.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    groups: list[AttentionGroup]


class TorchOps:
    """The operations of one step: `StepOps`.

    `rope` is `None` for a model whose positions are learned; `local_rope` is the table of layers
    whose `AttentionSpec` asks for it.
    """

    def __init__(
        self, step: StepInput, rope: RotaryTable | None, local_rope: RotaryTable | None = None
    ) -> None:
        self._step = step
        self._rope = None if rope is None else rope.at(step.positions)
        self._local_rope = None if local_rope is None else local_rope.at(step.positions)

    @property
    def positions(self) -> Tensor:
        return self._step.positions

    def embed(self, tokens: Tensor, table: Tensor) -> Tensor:
        return F.embedding(tokens, table)

    def norm(self, hidden: Tensor, norm: Norm) -> Tensor:
        if norm.bias is not None:
            return F.layer_norm(hidden, norm.weight.shape, norm.weight, norm.bias, norm.eps)
        return F.rms_norm(hidden, norm.weight.shape, norm.weight, norm.eps)

    def norm_linear(self, hidden: Tensor, norm: Norm, linear: Linear) -> Tensor:
        return linear(self.norm(hidden, norm))

    def attend(self, qkv: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        return paged_attention(
            self._rotate_and_store(qkv, spec, kv_blocks),
            kv_blocks,
            self._step.groups,
            scale=spec.scale,
            window=spec.window,
            softcap=spec.softcap,
        )

    def _rotate_and_store(self, qkv: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        """Queries `[rows, heads, head_dim]`; keys and values go into the cache."""
        qkv = qkv.view(-1, spec.heads + 2 * spec.kv_heads, spec.head_dim)
        if spec.query_norm is not None and spec.key_norm is not None:
            heads, rotated = spec.heads, spec.heads + spec.kv_heads
            query, key, value = qkv[:, :heads], qkv[:, heads:rotated], qkv[:, rotated:]
            query, key = self.norm(query, spec.query_norm), self.norm(key, spec.key_norm)
            qkv = torch.cat((query, key, value), dim=1)
        rope = self._local_rope if spec.local_rope else self._rope
        if rope is not None:
            qkv = RotaryTable.rotate(qkv, *rope)
        keys_and_values = qkv[:, spec.heads :]
        if qkv.dtype is torch.float16:
            # What overflowed stays with its own sequence: the next owner of the block masks it
            # out, but a masked NaN or infinity would still spread.
            keys_and_values = keys_and_values.nan_to_num()
        cache_rows = kv_blocks.view(-1, 2 * spec.kv_heads, spec.head_dim)
        cache_rows.index_copy_(0, self._step.slots, keys_and_values)
        return qkv[:, : spec.heads]

    def linear(self, x: Tensor, linear: Linear) -> Tensor:
        return linear(x)

    def linear_add(self, x: Tensor, linear: Linear, residual: Tensor) -> Tensor:
        return residual + linear(x)

    def norm_gated_linear(
        self,
        hidden: Tensor,
        norm: Norm,
        linear: Linear,
        activation: Activation = Activation.SILU,
    ) -> Tensor:
        gate, up = linear(self.norm(hidden, norm)).chunk(2, dim=-1)
        return activate(gate, activation).mul_(up)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """`x` of any shape through SiLU or GELU (Hendrycks & Gimpel 2016), exact or by tanh."""
    match activation:
        case Activation.SILU:
            return F.silu(x)
        case Activation.GELU:
            return F.gelu(x)
        case Activation.GELU_TANH:
            return F.gelu(x, approximate="tanh")
