"""The layouts in which a GPU keeps int8 and int4 weights: planes in 16-bit words.

The tensor cores take a weight from registers as pairs of neighbouring inputs, one pair in 32 bits.
So the inputs of a row are cut into blocks of 128, a block into two planes of 64, and word `i` of a
block holds input `i` of the first plane in its low byte and of the second in its high byte. Two
neighbouring words then hold, at the same place, two neighbouring inputs: a mask and a subtraction
make a pair of bf16 of them. int4 does the same with four planes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 128
"""Inputs in a block. Rows are padded to whole blocks."""


def padded_inputs(inputs: int) -> int:
    """`inputs` rounded up to whole blocks."""
    return -(-inputs // BLOCK) * BLOCK


def pack_int8_planes(q: Tensor) -> Tensor:
    """int8 `[out, in]` as int16 words `[out, padded in / 2]`, padded with zeros."""
    rows, inputs = q.shape
    padded = F.pad(q, (0, padded_inputs(inputs) - inputs)).view(rows, -1, 2, BLOCK // 2)
    # The low byte comes first in memory.
    return padded.transpose(2, 3).contiguous().view(torch.int16).flatten(1)


def unpack_int8_planes(words: Tensor, inputs: int) -> Tensor:
    """int8 `[out, inputs]` from what `pack_int8_planes` made."""
    pairs = words.view(torch.int8).view(words.shape[0], -1, BLOCK // 2, 2)
    return pairs.transpose(2, 3).flatten(1)[:, :inputs]


def pack_int4(q: Tensor) -> Tensor:
    """Values 0 … 15 `[out, in]` as int16 words `[in/128, out, 32]`, four values a word.

    Nibble `j` of word `i` of a block holds input `32 j + i`: two neighbouring words masked alike
    are two neighbouring inputs, 16 bits apart, where a GPU's matrix units want a pair of bf16; and
    32 inputs share a nibble, so that none of these planes is in two groups. What a run of rows
    needs of one block is one run of bytes. Inputs past the last one are 8.
    """
    missing = -q.shape[1] % BLOCK
    padded = F.pad(q.to(torch.int16), (0, missing), value=8)
    first, second, third, fourth = padded.view(q.shape[0], -1, 4, BLOCK // 4).unbind(2)
    words = first | (second << 4) | (third << 8) | (fourth << 12)
    return words.transpose(0, 1).contiguous()


def unpack_int4(words: Tensor) -> Tensor:
    """The values 0 … 15, int16 `[out, padded in]`, of what `pack_int4` packed."""
    planes = torch.stack([(words >> shift) & 15 for shift in (0, 4, 8, 12)], dim=2)
    return planes.transpose(0, 1).flatten(1)


def check_int8_planes(words: Tensor, inputs: int) -> None:
    """Raise ValueError unless `words` is int16 `[out, padded inputs / 2]` (`pack_int8_planes`)."""
    if words.shape[1:] != (padded_inputs(inputs) // 2,) or words.dtype is not torch.int16:
        raise ValueError(f"weight {tuple(words.shape)} {words.dtype} for {inputs} inputs")


def check_int4_planes(words: Tensor, scales_and_zeros: Tensor, group: int, inputs: int) -> None:
    """Raise ValueError unless these are a weight from `pack_int4` with its scales and zeros.

    Those are int16 `[padded inputs / 128, out, 32]` and bf16 `[groups, out, 2]`. No plane of 32
    inputs may be in two groups, and of a group and a block of inputs one must be whole in the
    other.
    """
    blocks = padded_inputs(inputs) // BLOCK
    fits = words.dim() == 3 and words.shape[::2] == (blocks, BLOCK // 4)
    if not fits or words.dtype is not torch.int16:
        raise ValueError(f"weight {tuple(words.shape)} {words.dtype} for {inputs} inputs")
    if group not in (32, 64) and (group < BLOCK or group % BLOCK):
        raise ValueError(f"int4 groups of {group}: the kernels take 32, 64, multiples of {BLOCK}")
    groups = -(-blocks * BLOCK // group)
    if scales_and_zeros.shape != (groups, words.shape[1], 2):
        raise ValueError(f"scales {tuple(scales_and_zeros.shape)} for {groups} groups")
    if scales_and_zeros.dtype is not torch.bfloat16:
        raise ValueError(f"int4 scales and zeros must be bf16, not {scales_and_zeros.dtype}")
