"""The types of a GGUF file's tensors, and the values that their bytes stand for.

Blocks of 32 values share a scale `d` (and a minimum `m`), both fp16, as in ggml's `ggml-quants.c`:
Q8_0 is `d * q`, Q4_0 `d * (q - 8)`, Q4_1 `d * q + m`, each rounded to fp32 after every operation.
The low four bits of a block's 16 bytes are its first 16 values, the high ones the other 16.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CHUNK_BLOCKS = 1 << 16
"""How many blocks are dequantized at once: 2 Mi values, 8 MiB."""

_Bytes = NDArray[np.uint8]
_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TensorType:
    """A type: `block_values` values take `block_bytes` bytes.

    `master_dtype` is what a master copy keeps them in. Of a quantized type that is fp16, the type
    of its scales: a value rounded to it differs by 2^-12 of itself at the most.
    """

    name: str
    block_values: int
    block_bytes: int
    master_dtype: torch.dtype
    dequantize: Callable[[_Bytes], _Floats] | None = None


def _scale(blocks: _Bytes, first: int) -> _Floats:
    """The fp16 number at byte `first` of each block, `[blocks, 1]`."""
    return np.ascontiguousarray(blocks[:, first : first + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: _Bytes) -> _Floats:
    """`[blocks, 32]` numbers from 0 to 15 of `[blocks, 16]` bytes."""
    return np.concatenate((packed & 0x0F, packed >> 4), axis=1).astype(np.float32)


def _q8_0(blocks: _Bytes) -> _Floats:
    return _scale(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _q4_0(blocks: _Bytes) -> _Floats:
    return _scale(blocks, 0) * (_nibbles(blocks[:, 2:]) - np.float32(8))


def _q4_1(blocks: _Bytes) -> _Floats:
    return _scale(blocks, 0) * _nibbles(blocks[:, 4:]) + _scale(blocks, 2)


TYPES = {
    0: TensorType("F32", 1, 4, torch.float32),
    1: TensorType("F16", 1, 2, torch.float16),
    2: TensorType("Q4_0", 32, 18, torch.float16, _q4_0),
    3: TensorType("Q4_1", 32, 20, torch.float16, _q4_1),
    8: TensorType("Q8_0", 32, 34, torch.float16, _q8_0),
    30: TensorType("BF16", 1, 2, torch.bfloat16),
}
"""What is read, by ggml's numbers."""

UNREAD = {
    6: "Q5_0",
    7: "Q5_1",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
"""Types that are refused, by their names."""


def dequantize(data: memoryview, kind: TensorType, shape: tuple[int, ...]) -> Tensor:
    """The values of a tensor, `[*shape]`: fp32 of a quantized type, else in the type itself.

    `data` has exactly the bytes of `shape`. A scale that is no number gives values that are none.
    """
    stored = np.frombuffer(data, np.uint8)
    if kind.dequantize is None:
        # Copied: whoever gets a tensor may write to it, and to no file.
        return torch.from_numpy(stored.copy()).view(kind.master_dtype).reshape(shape)
    blocks = stored.reshape(-1, kind.block_bytes)
    values = np.empty((len(blocks), kind.block_values), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(blocks), _CHUNK_BLOCKS):
            chunk = slice(start, start + _CHUNK_BLOCKS)
            values[chunk] = kind.dequantize(blocks[chunk])
    return torch.from_numpy(values).reshape(shape)
