"""The decoder's operations on CUDA: one Triton kernel each where one pays."""

import torch
from torch import Tensor

from ..kernels.gpu.decode_attention import DecodePlan, decode_attention, plan_decode
from ..kernels.gpu.gated import gated
from ..kernels.gpu.norm import layer_norm, rms_norm
from ..kernels.gpu.prefill_attention import PrefillTile, prefill_attention, prefill_tile
from ..kernels.gpu.rotary import PLAIN, RotaryOptions, rotate_and_store
from ..precision.linear import DenseLinear, Linear
from .config import Activation, ModelConfig
from .ops import AttentionSpec, Norm
from .rope import inverse_frequencies, local_rope_config, magnitude
from .step_layout import DeviceStep
from .torch_ops import activate

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, fp32 `[positions, head_dim / 2]`."""


class OpsContext:
    """What the operations of every step share: rotations, plans of the attention kernels."""

    def __init__(
        self, config: ModelConfig, context_tokens: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._config = config
        self._context_tokens = context_tokens
        self._device = device
        self.rotation = _rotation(config, context_tokens, device)
        self.local_rotation = (
            self.rotation
            if config.local_rope_theta is None
            else _rotation(local_rope_config(config), context_tokens, device)
        )
        self.group = config.heads // config.kv_heads
        self.tile: PrefillTile = prefill_tile(config.head_dim, self.group, dtype.itemsize)
        self._plans: dict[int, DecodePlan] = {}

    @property
    def tile_queries(self) -> int:
        """Queries of a prefill chunk that one tile computes."""
        return self.tile.queries(self.group)

    def decode_plan(self, sequences: int) -> DecodePlan:
        """The plan for so many sequences, made once: graphs keep pointing at its memory."""
        plan = self._plans.get(sequences)
        if plan is None:
            config = self._config
            plan = self._plans[sequences] = plan_decode(
                sequences,
                config.heads,
                config.kv_heads,
                config.head_dim,
                self._context_tokens,
                self._device,
            )
        return plan


class TritonOps:
    """The operations of one step: `StepOps`."""

    def __init__(self, context: OpsContext, step: DeviceStep, plan: DecodePlan | None) -> None:
        self._context = context
        self._step = step
        self._plan = plan

    @property
    def positions(self) -> Tensor:
        return self._step.positions

    def norm(self, hidden: Tensor, norm: Norm) -> Tensor:
        if norm.bias is not None:
            return layer_norm(hidden, norm.weight, norm.bias, norm.eps)
        return rms_norm(hidden, norm.weight, norm.eps)

    def norm_linear(self, hidden: Tensor, norm: Norm, linear: Linear) -> Tensor:
        return linear(self.norm(hidden, norm))

    def rotate_and_store(self, qkv: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        context, step = self._context, self._step
        cos, sin = context.local_rotation if spec.local_rope else context.rotation
        options = PLAIN
        if spec.query_norm is not None and spec.key_norm is not None:
            options = RotaryOptions(
                spec.query_norm.weight, spec.key_norm.weight, spec.query_norm.eps
            )
        return rotate_and_store(
            qkv, kv_blocks, step.positions, step.slots, cos, sin, options=options
        )

    def attention(self, q: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        layout, step = self._step.layout, self._step
        scale = spec.head_dim**-0.5 if spec.scale is None else spec.scale
        window, softcap = spec.window or 0, spec.softcap or 0.0
        out = torch.empty((q.shape[0], q.shape[1] * q.shape[2]), dtype=q.dtype, device=q.device)
        decode = layout.decode
        if self._plan is not None:
            decode_attention(
                q[:decode],
                kv_blocks,
                step.block_table[:decode],
                step.seq_lens[:decode],
                self._plan,
                scale,
                window=window,
                softcap=softcap,
                out=out[:decode],
            )
        if layout.tiles:
            prefill_attention(
                q[decode:],
                kv_blocks,
                step.block_table[decode:],
                step.seq_lens[decode:],
                step.query_starts,
                step.tiles,
                scale,
                tile=self._context.tile,
                window=window,
                softcap=softcap,
                out=out[decode:],
            )
        return out

    def linear_add(self, x: Tensor, linear: Linear, residual: Tensor) -> Tensor:
        if isinstance(linear, DenseLinear) and linear.bias is None:
            return residual.addmm_(x, linear.weight.t())
        return residual.add_(linear(x))

    def norm_gated_linear(
        self,
        hidden: Tensor,
        norm: Norm,
        linear: Linear,
        activation: Activation = Activation.SILU,
    ) -> Tensor:
        gate_up = self.norm_linear(hidden, norm, linear)
        if activation is Activation.GELU:
            gate, up = gate_up.chunk(2, dim=-1)
            return activate(gate, activation).mul_(up)
        return gated(gate_up, activation)


def _rotation(config: ModelConfig, positions: int, device: torch.device) -> Rotation:
    if config.learned_positions:
        shape = (positions, config.head_dim // 2)
        return torch.ones(shape, device=device), torch.zeros(shape, device=device)
    frequencies = inverse_frequencies(config, positions)
    angles = torch.outer(torch.arange(positions).float(), frequencies)
    growth = torch.where(frequencies > 0, magnitude(config.rope_scaling), 1.0)
    return (angles.cos() * growth).to(device), (angles.sin() * growth).to(device)
