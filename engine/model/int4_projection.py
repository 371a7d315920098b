"""A linear layer whose checkpoint stores it in 4 bits, kept as it is: GPTQ's and AWQ's values.

GPTQ (Frantar et al. 2022) packs eight inputs of one output into an int32, AWQ (Lin et al. 2023)
eight outputs of one input, in an order of its own; both `W = (q − zero) · scale` a group of inputs.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..precision.quantize import Int4Weight

_NIBBLES = torch.arange(0, 32, 4, dtype=torch.int32)
_AWQ_ORDER = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
"""The nibble of an AWQ int32 in which each of its eight outputs lies."""


@dataclass(frozen=True, slots=True)
class Int4Projection:
    """`W = (q − zero) · scale` for each group of `group` inputs.

    `q` is uint8 `[out, in/2]`, two values 0 … 15 a byte, the even input in the high nibble; `scale`
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
        return torch.stack((self.q >> 4, self.q & 15), dim=-1).flatten(1)

    def dequantize(self) -> Tensor:
        """The fp32 weight `[out, in]` that the stored values stand for."""
        rows = self.q.shape[0]
        grouped = self.values().view(rows, -1, self.group).float()
        weight = (grouped - self.zero.unsqueeze(-1).float()) * self.scale.unsqueeze(-1)
        return weight.view(rows, -1)


def allocate_int4(rows: int, columns: int, group: int, bias: Tensor | None) -> Int4Projection:
    """An uninitialized projection of `columns` inputs and `rows` outputs.

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


def unpack_gptq_weight(qweight: Tensor) -> Tensor:
    """`[in/8, out]` int32 to values uint8 `[out, in]`."""
    values = _nibbles(qweight)  # [in/8, out, 8]
    return values.permute(1, 0, 2).reshape(qweight.shape[1], -1)


def unpack_gptq_zeros(qzeros: Tensor, offset: int) -> Tensor:
    """`[groups, out/8]` int32 to zero points uint8 `[out, groups]`, `offset` added to each.

    In four bits: a zero point of 0 less 1 was stored as 15.
    """
    return ((_nibbles(qzeros).flatten(1) + offset) & 15).t()


def unpack_awq(packed: Tensor) -> Tensor:
    """`[n, out/8]` int32 to values uint8 `[out, n]`: inputs' weights or groups' zero points."""
    return _nibbles(packed)[..., _AWQ_ORDER].flatten(1).t()


def pack_pairs(values: Tensor) -> Tensor:
    """Values 0 … 15 uint8 `[out, in]` two a byte, the even input in the high nibble."""
    return (values[:, ::2] << 4) | values[:, 1::2]


def _nibbles(packed: Tensor) -> Tensor:
    """The eight values of every int32, lowest bits first, as a last dimension of uint8."""
    return ((packed.unsqueeze(-1) >> _NIBBLES) & 15).to(torch.uint8)
