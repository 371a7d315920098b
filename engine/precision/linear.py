"""Linear layers of each precision: `y = x Wᵀ + b`, with the weight packed as the level stores it.

Every layer maps `[rows, in]` to `[rows, out]` in the activation dtype of its level, and counts its
bytes from storage. How many rows there are decides which kernel is the fast one.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .planes import BLOCK, pack_int4, unpack_int4, unpack_int8_planes
from .quantize import E4M3_LARGEST, Int4Weight


class Linear(Protocol):
    """What the decoder asks of a projection."""

    def __call__(self, x: Tensor) -> Tensor:
        """`[rows, in]` to `[rows, out]`, the bias added where there is one."""
        ...

    def tensors(self) -> list[Tensor]:
        """All tensors that the layer keeps, for counting bytes."""
        ...


def storage_bytes(tensors: list[Tensor]) -> int:
    """Bytes of the distinct storages behind `tensors`, of any shapes `[...]`.

    A weight packed by oneDNN has no storage that torch could ask: it counts as its elements, which
    leaves out the padding of shapes that fill no whole blocks.
    """
    opaque = {id(t): t.numel() * t.itemsize for t in tensors if t.is_mkldnn}
    storages = [t.untyped_storage() for t in tensors if not t.is_mkldnn]
    return sum(opaque.values()) + sum({s.data_ptr(): s.nbytes() for s in storages}.values())


class _Layer:
    """What the layers share: their fields are what they store, `bias` is `[out]` or none."""

    bias: Tensor | None

    def tensors(self) -> list[Tensor]:
        return [value for value in vars(self).values() if isinstance(value, Tensor)]

    def _with_bias(self, y: Tensor) -> Tensor:
        """For a product that takes no bias."""
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, eq=False)
class DenseLinear(_Layer):
    """A `weight` `[out, in]` in the activations' own dtype: fp32, bf16 or fp16."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class PackedLinear(_Layer):
    """An fp32 or bf16 weight on a CPU, reordered once into the blocks that oneDNN computes with.

    Otherwise every product reorders it anew. Over the bundled model's layers on one thread
    (AVX-512, torch 2.13) fp32 takes 1.1 ms a step for 1 row, 2.1 for 16 and 9.2 for 128, instead of
    2.2, 4.9 and 22.6; bf16 0.7, 1.2 and 4.9 instead of 1.5, 1.7 and 5.7.
    """

    EXPECTED_ROWS = 16
    """Decides the form of the blocks; this one is fast from 1 to 128 rows."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, self.EXPECTED_ROWS)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return y

    @staticmethod
    def supports(dtype: torch.dtype) -> bool:
        """Whether this machine's oneDNN computes in `dtype`."""
        if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch's
            return False
        return dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class UpcastLinear(DenseLinear):
    """An fp16 weight on a CPU without fp16 matmul: from two rows on, fp32 arithmetic is faster.

    For one row torch's fp16 product reads half the bytes and wins; beyond, it has no blocked kernel
    (256 rows: 17 times slower than converting the weight and multiplying in fp32).
    """

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            return F.linear(x, self.weight, self.bias)
        bias = None if self.bias is None else self.bias.float()
        return F.linear(x.float(), self.weight.float(), bias).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Int8Linear(_Layer):
    """Weight-only int8, symmetric, one scale a row: `W ≈ q · scale`.

    `q` is int8 `[out, in]`, `scale` `[out]` in the activation dtype.
    """

    q: Tensor
    scale: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return self._with_bias(F.linear(x, self.q.to(x.dtype)) * self.scale)


class CpuInt8Linear(Int8Linear):
    """`Int8Linear` through torch's packed CPU product where that is the faster one."""

    PACKED_ROWS = 16
    """Up to here the packed product wins over widening the weight (measured, 256 … 4096 wide)."""

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] > self.PACKED_ROWS:
            return super().__call__(x)
        return self._with_bias(torch._weight_int8pack_mm(x, self.q, self.scale))


@dataclass(frozen=True, eq=False)
class Int8PlanesLinear(_Layer):
    """`Int8Linear` as a GPU keeps it: `words` int16 `[out, padded in / 2]` (see `planes`)."""

    words: Tensor
    scale: Tensor
    inputs: int
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return self._with_bias(F.linear(x, self.values().to(x.dtype)) * self.scale)

    def values(self) -> Tensor:
        """int8 `[out, in]`."""
        return unpack_int8_planes(self.words, self.inputs)


@dataclass(frozen=True, eq=False)
class Int4Linear(_Layer):
    """Weight-only int4, one scale and zero point a group of inputs: `W ≈ (q − 8) · scale + zero`.

    `packed` is int16 `[in/128, out, 32]` (see `pack_int4`), `scales_and_zeros` `[groups, out, 2]`.
    Both go on to a whole number of blocks of 128 inputs; there, scale and zero are 0.
    """

    packed: Tensor
    scales_and_zeros: Tensor
    group: int
    inputs: int
    bias: Tensor | None

    @classmethod
    def from_quantized(
        cls, weight: Int4Weight, dtype: torch.dtype, bias: Tensor | None
    ) -> "Int4Linear":
        """Pack `weight [out, in]` as rounding made it, or a checkpoint holds it; `bias [out]`.

        Scales and zeros are kept in `dtype`.
        """
        inputs = weight.q.shape[1]
        group = inputs // weight.scale.shape[1]
        missing = -inputs % BLOCK // group
        scales = F.pad(weight.scales_and_zeros(dtype), (0, 0, 0, 0, 0, missing))
        return cls(pack_int4(weight.q), scales, group, inputs, bias)

    def __call__(self, x: Tensor) -> Tensor:
        return self._with_bias(F.linear(x, self.dequantize(x.dtype)))

    def dequantize(self, dtype: torch.dtype) -> Tensor:
        """The weight `[out, in]` that the packed values stand for."""
        q = unpack_int4(self.packed).view(self.packed.shape[1], -1, self.group).to(dtype) - 8
        scale, zero = self.scales_and_zeros.permute(1, 0, 2).unsqueeze(-2).unbind(-1)
        return torch.addcmul(zero, q, scale).flatten(1)[:, : self.inputs]


@dataclass(frozen=True, eq=False)
class CpuInt4Linear(_Layer):
    """Weight-only int4 in the layout of torch's CPU kernel, which is opaque and the CPU's own."""

    packed: Tensor
    scales_and_zeros: Tensor
    group: int
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        return self._with_bias(
            torch._weight_int4pack_mm_for_cpu(x, self.packed, self.group, self.scales_and_zeros)
        )


@dataclass(frozen=True, eq=False)
class Fp8Linear(_Layer):
    """fp8 (e4m3) weight and activations, one scale a weight row and one an activation row.

    `q` is `[out, in]`, `scale` fp32 `[1, out]`; activations are quantized on the fly to
    `x / scale_x` with `scale_x = max|x| / 448` of each row.
    """

    q: Tensor
    scale: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        scale = (x.abs().amax(dim=-1, keepdim=True).float() / E4M3_LARGEST).clamp_(min=1e-12)
        quantized = (x.float() / scale).to(torch.float8_e4m3fn)
        product = torch._scaled_mm(
            quantized, self.q.t(), scale_a=scale, scale_b=self.scale, out_dtype=x.dtype
        )
        return self._with_bias(product)
