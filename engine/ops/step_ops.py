"""What the decoder asks of a device: the operations over one step's rows.

The decoder is written against these. `TorchOps` does them in plain PyTorch (the CPU's path, and the
reference); on CUDA Triton kernels do, fused as the number of rows makes worth while.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..precision.linear import Linear
from ..shape.parts import Activation


@dataclass(frozen=True, slots=True)
class Norm:
    """RMSNorm (Zhang & Sennrich 2019) over rows of `weight`'s width `[width]`.

    With a `bias` `[width]` it is LayerNorm (Ba et al. 2016): the row's mean is subtracted first.
    """

    weight: Tensor
    eps: float
    bias: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """The parameters: the weight, and the bias where there is one."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]


@dataclass(frozen=True, slots=True)
class AttentionSpec:
    """How a layer attends: `heads` query heads over `kv_heads` key-value heads of `head_dim`.

    Scores are multiplied by `scale` (`None`: `head_dim ** -0.5`) and, with a `softcap`, become
    `softcap · tanh(score / softcap)`. With a `window` a query sees that many tokens, itself
    included. `query_norm` and `key_norm` normalize each head before the rotation. `local_rope`:
    heads are rotated by the model's second rotary table.
    """

    heads: int
    kv_heads: int
    head_dim: int
    scale: float | None = None
    window: int | None = None
    softcap: float | None = None
    query_norm: Norm | None = None
    key_norm: Norm | None = None
    local_rope: bool = False


class StepOps(Protocol):
    """The operations for one step: they know its rows' positions, KV slots and sequences."""

    @property
    def positions(self) -> Tensor:
        """`[rows]`: each row's place in its own sequence."""
        ...

    def embed(self, tokens: Tensor, table: Tensor) -> Tensor:
        """The rows of `table [vocabulary, hidden]` for the step's tokens: `[rows, hidden]`.

        `tokens [rows]` may leave open what the step before has sampled and only the device knows.
        """
        ...

    def norm(self, hidden: Tensor, norm: Norm) -> Tensor:
        """`[rows, hidden]`, normalized."""
        ...

    def norm_linear(self, hidden: Tensor, norm: Norm, linear: Linear) -> Tensor:
        """`linear(norm(hidden))`: `[rows, hidden]` to `[rows, out]`."""
        ...

    def attend(self, qkv: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        """Causal attention of each row over its own sequence.

        `qkv` is `[rows, (heads + 2 kv_heads) · head_dim]`, `kv_blocks` one layer of the cache
        `[blocks, block_tokens, 2, kv_heads, head_dim]`. Query and key heads are normalized, where
        `spec` says so, and rotated by their positions, where the model has rotary ones; keys and
        values are written to their slots. Returns `[rows, heads · head_dim]`.
        """
        ...

    def linear(self, x: Tensor, linear: Linear) -> Tensor:
        """`linear(x)`: `[rows, in]` to `[rows, out]`."""
        ...

    def linear_add(self, x: Tensor, linear: Linear, residual: Tensor) -> Tensor:
        """`residual [rows, out] + linear(x [rows, in])`, which may reuse `residual`'s memory."""
        ...

    def norm_gated_linear(
        self,
        hidden: Tensor,
        norm: Norm,
        linear: Linear,
        activation: Activation = Activation.SILU,
    ) -> Tensor:
        """`activation(gate) · up`, where `linear(norm(hidden))` is `[rows, gate | up]`.

        SwiGLU and GeGLU (Shazeer 2020). Returns `[rows, out / 2]`.
        """
        ...
