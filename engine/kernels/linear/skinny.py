"""Linear layers for one to sixteen rows, with the norm before them and what follows fused in.

At so few rows a layer takes as long as its weight takes to read. One row by a dense weight goes to
`skinny_row`; one bf16 row by a packed weight to `skinny_mma`, if that takes its shape; all else to
`skinny_dot` (`plan_skinny`). The kernels may be captured in a CUDA graph.
"""

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from ...precision.planes import check_int4_planes, check_int8_planes
from ...shape.model_config import Activation
from ..common.dependent_launch import launch_options
from ..common.gpu_limits import gpu_limits, interpreted
from ..common.norm import rms_norm
from .skinny_dot import skinny_dot_kernel
from .skinny_mma import skinny_mma_kernel
from .skinny_plan import (
    FUSED_NORM_ROWS,
    TILE_ROWS,
    DotPlan,
    MmaPlan,
    Plan,
    RowPlan,
    WeightFormat,
    columns,
    pieces_of_a_chunk,
    plan_skinny,
)
from .skinny_row import skinny_row_kernel

MOST_ROWS = 16
_STATISTICS_ELEMENTS = 8192
"""Activations whose squares a program of the dot kernel sums at a time."""


@dataclass(frozen=True, slots=True)
class SkinnyWeight:
    """A weight of `features` rows by `inputs`, as its format stores it.

    dense: `data [features, inputs]` in the activations' dtype. int8: int16 planes
    `[features, padded inputs / 2]` (`pack_int8_planes`), `scale [features]`. int4: int16
    `[blocks, features, 32]` (`pack_int4`), `scale` bf16 `[groups, features, 2]`, scales and zeros.
    fp8: e4m3 `[features, inputs]`, `scale` of `features` elements.
    """

    format: WeightFormat
    data: Tensor
    features: int
    inputs: int
    scale: Tensor | None = None
    group: int = 128

    @classmethod
    def dense(cls, weight: Tensor) -> "SkinnyWeight":
        return cls("dense", weight, weight.shape[0], weight.shape[1])

    @classmethod
    def int8(cls, words: Tensor, scale: Tensor, inputs: int) -> "SkinnyWeight":
        check_int8_planes(words, inputs)
        return cls("int8", words, words.shape[0], inputs, scale)

    @classmethod
    def int4(
        cls, words: Tensor, scales_and_zeros: Tensor, group: int, inputs: int
    ) -> "SkinnyWeight":
        check_int4_planes(words, scales_and_zeros, group, inputs)
        pairs = scales_and_zeros.view(torch.int32)
        return cls("int4", words, words.shape[1], inputs, pairs, group)

    @classmethod
    def fp8(cls, q: Tensor, scale: Tensor) -> "SkinnyWeight":
        return cls("fp8", q, q.shape[0], q.shape[1], scale)


def skinny_linear(
    x: Tensor,
    weight: SkinnyWeight,
    *,
    norm: tuple[Tensor, float] | None = None,
    bias: Tensor | None = None,
    activation: Activation | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
    plan: Plan | None = None,
    pdl: bool = False,
) -> Tensor:
    """`x [rows, inputs]`, at most 16 rows, by `weight`: `[rows, features]`.

    With `norm`, a weight `[inputs]` and epsilon, `x` goes through RMSNorm first. `bias [features]`
    is added. With `activation` the weight is a fused gate and up projection, the gate first, and
    the result `activation(gate) · up`, `[rows, features / 2]`. `residual`, as large as the result,
    is added; it may be `out`, which is then written over. fp8 weights multiply activations rounded
    to e4m3 row by row, as `Fp8Linear` does.
    """
    rows = x.shape[0]
    if not 1 <= rows <= MOST_ROWS or x.shape[1] != weight.inputs or x.stride(1) != 1:
        raise ValueError(f"{tuple(x.shape)} activations for {weight.inputs} inputs")
    width = weight.features if activation is None else weight.features // 2
    if out is None:
        out = torch.empty(rows, width, dtype=x.dtype, device=x.device)
    if norm is not None and (rows > FUSED_NORM_ROWS or x.dtype is torch.float16):
        # fp16 might overflow before the scale of the norm is there to prevent it.
        x, norm = rms_norm(x, norm[0], norm[1], pdl=pdl), None
    if plan is None:
        plan = plan_skinny(
            weight.format,
            rows,
            weight.features,
            weight.inputs,
            weight.group,
            activation is not None,
            x.dtype,
            gpu_limits(x.device),
        )
    if norm is not None and isinstance(plan, MmaPlan):
        in_pairs = norm[0].dtype is torch.bfloat16
        if not in_pairs or plan.sections(weight.format, weight.inputs) > 1:
            x, norm = rms_norm(x, norm[0], norm[1], pdl=pdl), None
    call = _Call(x, weight, norm, bias, activation, residual, out, pdl)
    if isinstance(plan, RowPlan):
        _launch_row(call, plan)
    elif isinstance(plan, DotPlan):
        _launch_dot(call, plan)
    else:
        _launch_mma(call, plan)
    return out


@dataclass(frozen=True, slots=True)
class _Call:
    """What `skinny_linear` was asked for, as all of its kernels take it."""

    x: Tensor
    weight: SkinnyWeight
    norm: tuple[Tensor, float] | None
    bias: Tensor | None
    activation: Activation | None
    residual: Tensor | None
    out: Tensor
    pdl: bool

    @property
    def gain(self) -> Tensor:
        return self.x if self.norm is None else self.norm[0]

    @property
    def eps(self) -> float:
        return 0.0 if self.norm is None else self.norm[1]

    @property
    def ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """Bias, residual and result; the result stands for what there is not."""
        return (
            self.out if self.bias is None else self.bias,
            self.out if self.residual is None else self.residual,
            self.out,
        )

    def options(self, warps: int) -> dict[str, bool | int | str]:
        """The arguments by name that say what is fused, and how a launch goes."""
        return {
            "NORM": self.norm is not None,
            "ACTIVATION": "" if self.activation is None else self.activation.value,
            "HAS_BIAS": self.bias is not None,
            "HAS_RESIDUAL": self.residual is not None,
            "PDL": self.pdl,
            "num_warps": warps,
            **launch_options(self.pdl),
        }


def _registers(plan: RowPlan | MmaPlan) -> int:
    """A thread's, as many as leave room for all programs."""
    return min(255, 65536 // (plan.waves * plan.warps * 32))


def _launch_row(call: _Call, plan: RowPlan) -> None:
    x, weight = call.x, call.weight
    if x.shape[0] != 1 or weight.format != "dense":
        raise ValueError(f"{plan} is for one row by dense, not {x.shape[0]} by {weight.format}")
    blocks = triton.cdiv(weight.features, plan.block_n)
    blocks_per_program = triton.cdiv(blocks, plan.waves * gpu_limits(x.device).multiprocessors)
    # A thread loads 16 bytes at a time, so a piece of the weight is as many inputs.
    piece = 16 // x.element_size()
    pieces = triton.cdiv(weight.inputs, piece)
    chunk = pieces_of_a_chunk(pieces, plan.warps * 32)
    even = weight.inputs % (chunk * piece) == 0
    skinny_row_kernel[(triton.cdiv(blocks, blocks_per_program),)](
        x,
        call.gain,
        weight.data,
        *call.ends,
        weight.features,
        weight.inputs,
        call.eps,
        blocks_per_program,
        EVEN=even,
        BLOCK_N=plan.block_n,
        PIECES=chunk,
        CHUNKS=triton.cdiv(pieces, chunk),
        DEPTH=plan.depth,
        EARLY=plan.early,
        maxnreg=_registers(plan),
        **call.options(plan.warps),
    )


def _launch_dot(call: _Call, plan: DotPlan) -> None:
    x, weight, residual = call.x, call.weight, call.residual
    rows, _ = columns(x.shape[0])
    features, inputs = weight.features, weight.inputs
    even = inputs % (plan.block_k * plan.splits) == 0 and features % plan.block_n == 0
    skinny_dot_kernel[(triton.cdiv(features, plan.block_n),)](
        x,
        call.gain,
        weight.data,
        call.out if weight.scale is None else weight.scale,
        *call.ends,
        x.shape[0],
        features,
        inputs,
        x.stride(0),
        0 if residual is None else residual.stride(0),
        call.out.stride(0),
        call.eps,
        FORMAT=weight.format,
        GROUP=weight.group,
        EVEN=even,
        FAST=not interpreted(x.device),
        ROWS=rows,
        BLOCK_N=plan.block_n,
        BLOCK_K=plan.block_k,
        SPLITS=plan.splits,
        CHUNK=min(triton.next_power_of_2(inputs), _STATISTICS_ELEMENTS // rows),
        STAGES=plan.stages,
        **call.options(plan.warps),
    )


def _launch_mma(call: _Call, plan: MmaPlan) -> None:
    x, weight = call.x, call.weight
    sections = plan.sections(weight.format, weight.inputs)
    tiles, rest = divmod(weight.features, TILE_ROWS)
    if x.shape[0] != 1 or x.dtype is not torch.bfloat16 or rest or not sections:
        raise ValueError(f"{plan} is not for {tuple(x.shape)} {x.dtype} by {weight.features} rows")
    programs = min(tiles, plan.waves * gpu_limits(x.device).multiprocessors)
    skinny_mma_kernel[(programs,)](
        x.view(torch.int32),
        call.gain.view(torch.int32),
        weight.data.view(torch.int32),
        weight.scale,
        *call.ends,
        weight.features,
        weight.inputs,
        call.eps,
        FORMAT=weight.format,
        GROUP=weight.group,
        FAST=not interpreted(x.device),
        UNITS=plan.units,
        SECTIONS=sections,
        DEPTH=plan.depth,
        STATISTICS=min(triton.next_power_of_2(weight.inputs), _STATISTICS_ELEMENTS),
        THREADS=plan.warps * 32,
        EARLY=plan.early,
        maxnreg=_registers(plan),
        **call.options(plan.warps),
    )
