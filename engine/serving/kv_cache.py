"""The paged KV cache's memory: one tensor a layer, cut into blocks of tokens."""

import torch
from torch import Tensor

from ..shape.model_shape import ModelShape

BLOCK_TOKENS = 16


class KVCache:
    """Keys and values of `num_blocks` blocks for every layer.

    Each layer is `[num_blocks, BLOCK_TOKENS, 2, kv_heads, head_dim]`: one gather of whole blocks
    brings keys and values together.
    """

    def __init__(
        self, config: ModelShape, num_blocks: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.num_blocks = num_blocks
        shape = (num_blocks, BLOCK_TOKENS, 2, config.kv_heads, config.head_dim)
        # Zeroed, because a masked score times an uninitialized NaN would still be NaN; and written
        # rather than asked for as zeros, so that a CPU's pages are resident from the start.
        self.layers: list[Tensor] = [
            torch.empty(shape, device=device, dtype=dtype).zero_() for _ in range(config.layers)
        ]

    @property
    def storage_bytes(self) -> int:
        return sum(layer.untyped_storage().nbytes() for layer in self.layers)


def block_bytes(config: ModelShape, dtype: torch.dtype) -> int:
    """Bytes of one block over all layers."""
    return config.kv_elements_per_token * BLOCK_TOKENS * dtype.itemsize
