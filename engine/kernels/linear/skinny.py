"""Linear layers for one to sixteen rows, with the norm before them and what follows fused in.

At so few rows ("skinny" products) a layer takes as long as its weight takes to read. There are
three kernels, of which `dispatch` names one: `gemv_dense` for one row by a dense weight,
`gemv_packed` for one bf16 row by a packed weight of a shape that it takes, `skinny_dot` for a
packed weight of another shape and for 2 to 16 rows by a dense one. More than one row by a packed
weight go to the GEMM. All may be captured in a CUDA graph.
"""

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from ...shape.parts import Activation
from ..common.dependent_launch import launch_options
from ..common.gpu_limits import gpu_limits, interpreted
from ..common.norm import rms_norm
from .gemv_dense import gemv_dense_kernel
from .gemv_packed import gemv_packed_kernel
from .skinny_dot import skinny_dot_kernel
from .skinny_launch import (
    FUSED_NORM_ROWS,
    SKINNY_ROWS,
    TILE_FEATURES,
    GemvDenseLaunch,
    GemvPackedLaunch,
    SkinnyDotLaunch,
    SkinnyLaunch,
    columns,
    pieces_of_a_chunk,
)
from .weight import LayerWeight

_STATISTICS_ELEMENTS = 8192
"""Activations whose squares a program of the dot kernel sums at a time."""


def skinny_linear(
    x: Tensor,
    weight: LayerWeight,
    launch: SkinnyLaunch,
    *,
    norm: tuple[Tensor, float] | None = None,
    activation: Activation | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """`x [rows, inputs]`, at most 16 rows, by `weight`, plus its bias: `[rows, features]`.

    With `norm`, a weight `[inputs]` and epsilon, `x` goes through RMSNorm first. With `activation`
    the weight is a fused gate and up projection, the gate first, and the result
    `activation(gate) · up`, `[rows, features / 2]`. `residual`, as large as the result, is added;
    it may be `out`, which is then written over. fp8 weights multiply activations rounded to e4m3
    row by row, as `Fp8Linear` does.

    Raises ValueError for activations of another shape, for a `launch` that is not for them, and for
    the exact GELU, which no kernel has.
    """
    rows = x.shape[0]
    if not 1 <= rows <= SKINNY_ROWS or x.shape[1] != weight.inputs or x.stride(1) != 1:
        raise ValueError(f"{tuple(x.shape)} activations for {weight.inputs} inputs")
    if activation is Activation.GELU:
        raise ValueError("the exact GELU has no kernel")
    width = weight.features if activation is None else weight.features // 2
    if out is None:
        out = torch.empty(rows, width, dtype=x.dtype, device=x.device)
    if norm is not None and not _fuses_norm(x, weight, norm[0], launch):
        x, norm = rms_norm(x, norm[0], norm[1], pdl=pdl), None
    call = _Call(x, weight, norm, activation, residual, out, pdl)
    match launch:
        case GemvDenseLaunch():
            _launch_gemv_dense(call, launch)
        case GemvPackedLaunch():
            _launch_gemv_packed(call, launch)
        case SkinnyDotLaunch():
            _launch_skinny_dot(call, launch)
    return out


def _fuses_norm(x: Tensor, weight: LayerWeight, gain: Tensor, launch: SkinnyLaunch) -> bool:
    """Whether the kernel normalizes `x [rows, inputs]` for itself, by a norm's weight `gain`."""
    # fp16 might overflow before the scale of the norm is there to prevent it.
    if x.shape[0] > FUSED_NORM_ROWS or x.dtype is torch.float16:
        return False
    if not isinstance(launch, GemvPackedLaunch):
        return True
    # It multiplies pairs of bf16, and only a warp with one section has its inputs at hand.
    return gain.dtype is torch.bfloat16 and launch.sections(weight.format, weight.inputs) <= 1


@dataclass(frozen=True, slots=True)
class _Call:
    """What `skinny_linear` was asked for, as all of its kernels take it."""

    x: Tensor
    weight: LayerWeight
    norm: tuple[Tensor, float] | None
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
            self.out if self.weight.bias is None else self.weight.bias,
            self.out if self.residual is None else self.residual,
            self.out,
        )

    def options(self, warps: int) -> dict[str, bool | int | str]:
        """The arguments by name that say what is fused, and how a launch goes."""
        return {
            "NORM": self.norm is not None,
            "ACTIVATION": "" if self.activation is None else self.activation.value,
            "HAS_BIAS": self.weight.bias is not None,
            "HAS_RESIDUAL": self.residual is not None,
            "PDL": self.pdl,
            "num_warps": warps,
            **launch_options(self.pdl),
        }


def _registers(launch: GemvDenseLaunch | GemvPackedLaunch) -> int:
    """A thread's, as many as leave room for all programs."""
    return min(255, 65536 // (launch.programs * launch.warps * 32))


def _launch_gemv_dense(call: _Call, launch: GemvDenseLaunch) -> None:
    x, weight = call.x, call.weight
    if x.shape[0] != 1 or weight.format != "dense":
        raise ValueError(f"{launch} is for one row by dense, not {x.shape[0]} by {weight.format}")
    blocks = triton.cdiv(weight.features, launch.block_n)
    blocks_per_program = triton.cdiv(blocks, launch.programs * gpu_limits(x.device).multiprocessors)
    # A thread loads 16 bytes at a time, so a piece of the weight is as many inputs.
    piece = 16 // x.element_size()
    pieces = triton.cdiv(weight.inputs, piece)
    chunk = pieces_of_a_chunk(pieces, launch.warps * 32)
    even = weight.inputs % (chunk * piece) == 0
    gemv_dense_kernel[(triton.cdiv(blocks, blocks_per_program),)](
        x, call.gain, weight.data, *call.ends, weight.features, weight.inputs, call.eps,
        blocks_per_program, EVEN=even, BLOCK_N=launch.block_n, PIECES=chunk,
        CHUNKS=triton.cdiv(pieces, chunk), BLOCKS_AHEAD=launch.blocks_ahead,
        NEXT_EARLY=launch.next_early, maxnreg=_registers(launch), **call.options(launch.warps),
    )  # fmt: skip


def _launch_skinny_dot(call: _Call, launch: SkinnyDotLaunch) -> None:
    x, weight, residual = call.x, call.weight, call.residual
    rows, _ = columns(x.shape[0])
    features, inputs = weight.features, weight.inputs
    if x.shape[0] > 1 and weight.format != "dense":
        raise ValueError(f"{launch} is not for {x.shape[0]} rows by {weight.format}")
    even = inputs % (launch.block_k * launch.splits) == 0 and features % launch.block_n == 0
    skinny_dot_kernel[(triton.cdiv(features, launch.block_n),)](
        x, call.gain, weight.data, call.out if weight.scale is None else weight.scale, *call.ends,
        x.shape[0], features, inputs, x.stride(0), 0 if residual is None else residual.stride(0),
        call.out.stride(0), call.eps, FORMAT=weight.format, GROUP=weight.group, EVEN=even,
        INLINE_PTX=not interpreted(x.device), ROWS=rows, BLOCK_N=launch.block_n,
        BLOCK_K=launch.block_k, SPLITS=launch.splits,
        CHUNK=min(triton.next_power_of_2(inputs), _STATISTICS_ELEMENTS // rows),
        STAGES=launch.stages, **call.options(launch.warps),
    )  # fmt: skip


def _launch_gemv_packed(call: _Call, launch: GemvPackedLaunch) -> None:
    x, weight = call.x, call.weight
    sections = launch.sections(weight.format, weight.inputs)
    tiles, rest = divmod(weight.features, TILE_FEATURES)
    if x.shape[0] != 1 or x.dtype is not torch.bfloat16 or rest or not sections:
        raise ValueError(
            f"{launch} is not for {tuple(x.shape)} {x.dtype} by {weight.features} rows"
        )
    programs = min(tiles, launch.programs * gpu_limits(x.device).multiprocessors)
    gemv_packed_kernel[(programs,)](
        x.view(torch.int32), call.gain.view(torch.int32), weight.data.view(torch.int32),
        weight.scale, *call.ends, weight.features, weight.inputs, call.eps, FORMAT=weight.format,
        GROUP=weight.group, INLINE_PTX=not interpreted(x.device), UNITS=launch.units,
        SECTIONS=sections, SECTIONS_AHEAD=launch.sections_ahead,
        STATISTICS=min(triton.next_power_of_2(weight.inputs), _STATISTICS_ELEMENTS),
        THREADS=launch.warps * 32, NEXT_EARLY=launch.next_early, maxnreg=_registers(launch),
        **call.options(launch.warps),
    )  # fmt: skip
