"""Sequences over a paged KV cache, and what attention over them must be: float64 softmax."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
BLOCK_TOKENS = 16
FP8 = torch.float8_e4m3fn
EPSILON = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2, FP8: 4e-3}
"""By the cache's dtype: how far the result may be from float64's, where values are near 1."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Heads and what changes the scores."""

    kv_heads: int
    group: int
    head_dim: int
    window: int = 0
    softcap: float = 0.0
    dtype: torch.dtype = torch.float32

    @property
    def heads(self) -> int:
        return self.kv_heads * self.group

    @property
    def query_dtype(self) -> torch.dtype:
        """That of the model, which an fp8 cache does not tell."""
        return torch.float32 if self.dtype is FP8 else self.dtype

    @property
    def scale(self) -> float:
        return float(self.head_dim**-0.5)


class PagedScene:
    """A cache of random keys and values, its blocks out of order; NaN where there is no token."""

    def __init__(self, shape: Shape, seq_lens: Sequence[int], seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.shape = shape
        width = max(1, *(-(-length // BLOCK_TOKENS) for length in seq_lens)) + 1
        blocks = len(seq_lens) * width + 1
        table = torch.randperm(blocks, generator=generator)[: len(seq_lens) * width]
        table = table.view(len(seq_lens), width)
        size = (blocks, BLOCK_TOKENS, 2, shape.kv_heads, shape.head_dim)
        kv = torch.full(size, float("nan"))
        for blocks_of, length in zip(table, seq_lens, strict=True):
            values = torch.randn(width * BLOCK_TOKENS, *size[2:], generator=generator)
            values[length:] = float("nan")
            kv[blocks_of] = values.view(width, *size[1:])
        self.kv_blocks = kv.to(DEVICE, shape.dtype)
        self.block_table = table.to(DEVICE, torch.int32)
        self.seq_lens = torch.tensor(seq_lens, dtype=torch.int32, device=DEVICE)
        self._generator = generator

    def queries(self, rows: int) -> Tensor:
        """`[rows, heads, head_dim]`, the front of wider rows as the qkv projection leaves them."""
        shape = self.shape
        wide = torch.randn(rows, shape.heads + 2, shape.head_dim, generator=self._generator)
        return wide.to(DEVICE, shape.query_dtype)[:, : shape.heads]

    def expected(self, sequence: int, queries: Tensor, kv_blocks: Tensor | None = None) -> Tensor:
        """Float64 attention `[queries, heads · head_dim]` of a sequence's last tokens.

        To the scene's own keys and values, or to those of `kv_blocks`.
        """
        shape, length, count = self.shape, int(self.seq_lens[sequence]), queries.shape[0]
        kv_blocks = self.kv_blocks if kv_blocks is None else kv_blocks
        kv = kv_blocks[self.block_table[sequence].long()].double().flatten(0, 1)[:length]
        keys, values = kv.repeat_interleave(shape.group, dim=2).unbind(1)
        scores = torch.einsum("qhd,khd->hqk", queries.double(), keys) * shape.scale
        if shape.softcap:
            scores = shape.softcap * torch.tanh(scores / shape.softcap)
        position = torch.arange(length - count, length, device=DEVICE)[:, None]
        key = torch.arange(length, device=DEVICE)
        seen = key <= position
        if shape.window:
            seen &= key > position - shape.window
        weights = scores.masked_fill(~seen, float("-inf")).softmax(dim=-1)
        return torch.einsum("hqk,khd->qhd", weights, values).flatten(1)
