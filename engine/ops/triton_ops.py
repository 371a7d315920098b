"""The decoder's operations on CUDA: one Triton kernel each where one pays."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.attention.decode_attention import decode_attention
from ..kernels.attention.decode_plan import DecodePlan, plan_decode
from ..kernels.attention.gather_plan import GatherRule, PrefillTiles
from ..kernels.attention.gathered_keys import GatheredKeys
from ..kernels.attention.prefill_attention import prefill_attention
from ..kernels.attention.prefill_tiles import PrefillTile, list_tiles, prefill_tile
from ..kernels.attention.rotary import HeadNorms, rotate_and_store
from ..kernels.common.gpu_limits import gpu_limits
from ..kernels.common.norm import layer_norm, rms_norm
from ..kernels.common.step_input import embed_tokens
from ..kernels.linear.gated import gated
from ..kernels.linear.linear import linear as linear_on_gpu
from ..kernels.linear.linear import norm_linear as norm_linear_on_gpu
from ..kernels.linear.skinny_launch import SKINNY_ROWS
from ..precision.linear import Linear, PackedLinear
from ..shape.model_shape import ModelShape
from ..shape.parts import Activation
from .rope import local_rope_config, rotation
from .step_layout import DeviceStep
from .step_ops import AttentionSpec, Norm
from .torch_ops import activate

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, fp32 `[positions, head_dim / 2]`."""


class OpsContext:
    """What the operations of every step share: rotations, plans of the attention kernels.

    With `gathered` memory, steps of long prompts gather their keys there.
    """

    def __init__(
        self,
        config: ModelShape,
        context_tokens: int,
        device: torch.device,
        kv_dtype: torch.dtype,
        gathered: GatheredKeys | None = None,
    ) -> None:
        self._config = config
        self._context_tokens = context_tokens
        self._device = device
        self._kv_dtype = kv_dtype
        self.rotation = _rotation(config, context_tokens, device)
        self.local_rotation = (
            self.rotation
            if config.local_rope_theta is None
            else _rotation(local_rope_config(config), context_tokens, device)
        )
        self.group = config.heads // config.kv_heads
        self.tile: PrefillTile = prefill_tile(
            config.head_dim, self.group, kv_dtype.itemsize, gpu_limits(device)
        )
        self.gathered = gathered
        self._gather_rule = GatherRule(
            config.heads,
            config.kv_heads,
            config.head_dim,
            _widest_window(config, context_tokens),
            0 if gathered is None else gathered.tokens,
        )
        self._plans: dict[int, DecodePlan] = {}

    @property
    def tile_queries(self) -> int:
        """Queries of a prefill chunk that one tile computes."""
        return self.tile.queries(self.group)

    def prefill_tiles(
        self, query_lens: Sequence[int], seq_lens: Sequence[int], may_gather: bool
    ) -> PrefillTiles:
        """How prefill chunks are cut up, and whether their keys are gathered: decided here alone.

        `seq_lens` count a sequence's keys, its chunk's included.
        """
        if may_gather and self.gathered and self._gather_rule.pays(query_lens, seq_lens):
            queries = self.gathered.tile.queries(self.group)
            return PrefillTiles.gathered(list_tiles(query_lens, seq_lens, queries), seq_lens)
        return PrefillTiles.paged(list_tiles(query_lens, seq_lens, self.tile_queries))

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
                self._kv_dtype,
                self._device,
            )
        return plan


class TritonOps:
    """The operations of one step: `StepOps`.

    `plan` is for its decode rows, if it has any; `sampled` are the tokens of the step before, where
    rows may carry one. With `pdl` a kernel takes its place on the device while the one before it
    ends (programmatic dependent launch): worth it in a captured graph.
    """

    def __init__(
        self,
        context: OpsContext,
        step: DeviceStep,
        plan: DecodePlan | None,
        *,
        sampled: Tensor | None = None,
        pdl: bool = False,
    ) -> None:
        self._context = context
        self._step = step
        self._plan = plan
        self._sampled = step.tokens if sampled is None else sampled
        self._pdl = pdl

    @property
    def positions(self) -> Tensor:
        return self._step.positions

    def embed(self, tokens: Tensor, table: Tensor) -> Tensor:
        return embed_tokens(tokens, self._step.carried, self._sampled, table, pdl=self._pdl)

    def norm(self, hidden: Tensor, norm: Norm) -> Tensor:
        if norm.bias is not None:
            return layer_norm(hidden, norm.weight, norm.bias, norm.eps, pdl=self._pdl)
        return rms_norm(hidden, norm.weight, norm.eps, pdl=self._pdl)

    def norm_linear(self, hidden: Tensor, norm: Norm, linear: Linear) -> Tensor:
        return self._norm_linear(hidden, norm, linear, None)

    def attend(self, qkv: Tensor, spec: AttentionSpec, kv_blocks: Tensor) -> Tensor:
        context, step, layout = self._context, self._step, self._step.layout
        cos, sin = context.local_rotation if spec.local_rope else context.rotation
        scale = spec.head_dim**-0.5 if spec.scale is None else spec.scale
        window, softcap, norms = spec.window or 0, spec.softcap or 0.0, _head_norms(spec)
        out = qkv.new_empty(qkv.shape[0], spec.heads * spec.head_dim)
        decode = layout.decode
        if self._plan is not None:
            decode_attention(
                qkv[:decode],
                kv_blocks,
                step.block_table[:decode],
                step.seq_lens[:decode],
                step.slots[:decode],
                cos,
                sin,
                self._plan,
                scale,
                out=out[:decode],
                norms=norms,
                window=window,
                softcap=softcap,
                pdl=self._pdl,
            )
        if layout.tiles:
            rows = slice(decode, None)
            positions, slots = step.positions[rows], step.slots[rows]
            q = rotate_and_store(qkv[rows], kv_blocks, positions, slots, cos, sin, norms=norms)
            table, seq_lens = step.block_table[rows], step.seq_lens[rows]
            gathered = context.gathered if layout.key_tiles else None
            if gathered is not None:
                gathered.gather(
                    kv_blocks,
                    table,
                    seq_lens,
                    step.query_starts,
                    step.key_tiles,
                    step.key_starts,
                    window=window,
                )
            prefill_attention(
                q,
                kv_blocks,
                table,
                seq_lens,
                step.query_starts,
                step.tiles,
                scale,
                out=out[rows],
                tile=context.tile if gathered is None else gathered.tile,
                window=window,
                softcap=softcap,
                gathered=gathered,
                key_starts=None if gathered is None else step.key_starts,
            )
        return out

    def linear(self, x: Tensor, linear: Linear) -> Tensor:
        return self._linear(x, linear)

    def linear_add(self, x: Tensor, linear: Linear, residual: Tensor) -> Tensor:
        return self._linear(x, linear, residual)

    def norm_gated_linear(
        self,
        hidden: Tensor,
        norm: Norm,
        linear: Linear,
        activation: Activation = Activation.SILU,
    ) -> Tensor:
        if activation is not Activation.GELU:
            return self._norm_linear(hidden, norm, linear, activation)
        gate, up = self._norm_linear(hidden, norm, linear, None).chunk(2, dim=-1)
        return activate(gate, activation).mul_(up)

    def _norm_linear(
        self, hidden: Tensor, norm: Norm, linear: Linear, activation: Activation | None
    ) -> Tensor:
        """`linear(norm(hidden))`, gated where there is an `activation`: as fused as it goes."""
        if norm.bias is None and not isinstance(linear, PackedLinear):
            return norm_linear_on_gpu(
                hidden,
                (norm.weight, norm.eps),
                linear,
                activation,
                sampled_only=self._are_sampled_only(hidden),
                pdl=self._pdl,
            )
        out = self._linear(self.norm(hidden, norm), linear)
        return out if activation is None else gated(out, activation, pdl=self._pdl)

    def _linear(self, x: Tensor, linear: Linear, residual: Tensor | None = None) -> Tensor:
        if isinstance(linear, PackedLinear):
            # A CPU's layer: here Triton's interpreter runs the other kernels, for a test.
            return linear(x) if residual is None else residual.add_(linear(x))
        sampled_only = self._are_sampled_only(x)
        return linear_on_gpu(x, linear, residual, sampled_only=sampled_only, pdl=self._pdl)

    def _are_sampled_only(self, x: Tensor) -> bool:
        """Whether these rows are the sampled ones of a prefill step, of which there is any number.

        A step of few rows has no more numbers of them than its own, which have kernels.
        """
        return x.shape[0] < self._step.layout.rows > SKINNY_ROWS


def _head_norms(spec: AttentionSpec) -> HeadNorms | None:
    if spec.query_norm is None or spec.key_norm is None:
        return None
    return HeadNorms(spec.query_norm.weight, spec.key_norm.weight, spec.query_norm.eps)


def _widest_window(config: ModelShape, context_tokens: int) -> int:
    """The largest window of a layer; 0 where a layer sees all keys."""
    windows = [config.window_of(layer) for layer in range(config.layers)]
    widest = max(context_tokens if window is None else window for window in windows)
    return 0 if widest >= context_tokens else widest


def _rotation(config: ModelShape, positions: int, device: torch.device) -> Rotation:
    if config.learned_positions:
        shape = (positions, config.head_dim // 2)
        return torch.ones(shape, device=device), torch.zeros(shape, device=device)
    cos, sin = rotation(config, positions)
    return cos.to(device), sin.to(device)
