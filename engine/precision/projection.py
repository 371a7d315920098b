"""A linear layer of the master copy: dense, or in the 4 bits that its checkpoint stores.

GPTQ (Frantar et al. 2022) packs eight inputs of one output into an int32, AWQ (Lin et al. 2023)
eight outputs of one input, in an order of its own; both `W = (q − zero) · scale` a group of inputs.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..protocol.errors import CheckpointError
from .quantize import Int4Weight

_AWQ_OUTPUTS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight outputs each nibble of an AWQ int32 belongs to, from the lowest one on."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear layer: `weight [out, in]` and, where the model has one, `bias [out]`."""

    weight: Tensor
    bias: Tensor | None = None

    def tensors(self) -> list[Tensor | None]:
        return [self.weight, self.bias]


@dataclass(frozen=True, slots=True)
class Int4Projection:
    """`W = (q − zero) · scale` for each group of `group` inputs.

    `q` is uint8 `[out, in/2]`, two values 0 … 15 a byte, the even input in the low nibble; `scale`
    fp32 and `zero` uint8 (0 … 15) are `[out, in/group]`.
    """

    q: Tensor
    scale: Tensor
    zero: Tensor
    group: int
    bias: Tensor | None = None

    def to(self, device: torch.device) -> "Int4Projection":
        """The stored values on `device`; the bias stays."""
        return replace(
            self, q=self.q.to(device), scale=self.scale.to(device), zero=self.zero.to(device)
        )

    def tensors(self) -> list[Tensor | None]:
        return [self.q, self.scale, self.zero, self.bias]

    def quantized(self) -> Int4Weight:
        """The same values in the form that the int4 level packs."""
        zero = (8.0 - self.zero.float()) * self.scale
        return Int4Weight(self.values().to(torch.int32), self.scale, zero)

    def values(self) -> Tensor:
        """The stored values 0 … 15, uint8 `[out, in]`."""
        return torch.stack((self.q & 15, self.q >> 4), dim=-1).flatten(1)

    def dequantize(self) -> Tensor:
        """The fp32 weight `[out, in]` that the stored values stand for."""
        rows = self.q.shape[0]
        grouped = self.values().view(rows, -1, self.group).float()
        weight = (grouped - self.zero.unsqueeze(-1).float()) * self.scale.unsqueeze(-1)
        return weight.view(rows, -1)


AnyProjection = Projection | Int4Projection


def master_weight(projection: AnyProjection) -> Tensor:
    """The weight `[out, in]` of the master copy: fp32 where its checkpoint stores 4 bits."""
    return projection.dequantize() if isinstance(projection, Int4Projection) else projection.weight


def allocate_int4(rows: int, columns: int, group: int, bias: Tensor | None) -> Int4Projection:
    """An uninitialized projection of `columns` inputs and `rows` outputs, with `bias` `[rows]`.

    Raises `CheckpointError` where no whole number of groups, or of int32, makes up the layer.
    """
    if columns % group or rows % 8:
        raise CheckpointError(
            f"4-bit weights in groups of {group} do not fit a layer of {rows} × {columns}"
        )
    groups = columns // group
    return Int4Projection(
        q=torch.empty(rows, columns // 2, dtype=torch.uint8),
        scale=torch.empty(rows, groups, dtype=torch.float32),
        zero=torch.empty(rows, groups, dtype=torch.uint8),
        group=group,
        bias=bias,
    )


def gptq_weight(qweight: Tensor) -> Tensor:
    """`[in/8, out]` int32 to `Int4Projection.q`: the bytes of a word are in its order already."""
    return qweight.t().contiguous().view(torch.uint8)


def awq_weight(qweight: Tensor) -> Tensor:
    """`[in, out/8]` int32 to `Int4Projection.q`."""
    inputs, words = qweight.shape
    bytes_of_words = qweight.contiguous().view(torch.uint8).view(inputs, words, 4)
    q = torch.empty(words, 8, inputs // 2, dtype=torch.uint8)
    for nibble, output in enumerate(_AWQ_OUTPUTS):
        part = bytes_of_words[..., nibble // 2]
        values = part >> 4 if nibble % 2 else part & 15
        q[:, output] = (values[::2] | values[1::2] << 4).t()
    return q.view(8 * words, inputs // 2)


def gptq_zeros(qzeros: Tensor, offset: int) -> Tensor:
    """`[groups, out/8]` int32 to zero points uint8 `[out, groups]`, `offset` added to each.

    In four bits: a zero point of 0 less 1 was stored as 15.
    """
    return ((_nibbles(qzeros).flatten(1) + offset) & 15).t()


def awq_zeros(qzeros: Tensor) -> Tensor:
    """`[groups, out/8]` int32 to zero points uint8 `[out, groups]`."""
    places = torch.tensor(_AWQ_OUTPUTS).argsort()
    return _nibbles(qzeros)[..., places].flatten(1).t()


def _nibbles(packed: Tensor) -> Tensor:
    """The eight values of every int32, lowest bits first, as a last dimension of uint8."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32)
    return ((packed.unsqueeze(-1) >> shifts) & 15).to(torch.uint8)
