"""The layout in which a GPU keeps int8 weights: two planes in 16-bit words.

The tensor cores take a weight from registers as pairs of neighbouring inputs, one pair in 32 bits.
So the inputs of a row are cut into blocks of 128, a block into two planes of 64, and word `i` of a
block holds input `i` of the first plane in its low byte and of the second in its high byte. Two
neighbouring words then hold, at the same place, two neighbouring inputs: a mask and a subtraction
make a pair of bf16 of them. int4 does the same with four planes: `quantize.pack_int4`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 128
"""Inputs in a block. Rows are padded to whole blocks with zeros."""


def padded_inputs(inputs: int) -> int:
    """`inputs` rounded up to whole blocks."""
    return -(-inputs // BLOCK) * BLOCK


def pack_int8_planes(q: Tensor) -> Tensor:
    """int8 `[out, in]` as int16 words `[out, padded in / 2]`."""
    rows, inputs = q.shape
    padded = F.pad(q, (0, padded_inputs(inputs) - inputs)).view(rows, -1, 2, BLOCK // 2)
    # The low byte comes first in memory.
    return padded.transpose(2, 3).contiguous().view(torch.int16).flatten(1)


def unpack_int8_planes(words: Tensor, inputs: int) -> Tensor:
    """int8 `[out, inputs]` from what `pack_int8_planes` made."""
    pairs = words.view(torch.int8).view(words.shape[0], -1, BLOCK // 2, 2)
    return pairs.transpose(2, 3).flatten(1)[:, :inputs]
