"""Causal attention for training, in the form that is fastest on each kind of device."""

import torch
import torch.nn.functional as F
from torch import Tensor

QUERY_BLOCK = 128
"""Queries in a block on the CPU: fewer waste less work beyond the diagonal, but call more often."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend with `query` `[batch, heads, tokens, head_dim]`; return the same shape.

    `key` and `value` are `[batch, kv_heads, tokens, head_dim]`. Each query head sees the key-value
    head of its group, and no later token.
    """
    if query.is_cuda:
        group = query.shape[1] // key.shape[1]
        return F.scaled_dot_product_attention(
            query,
            key.repeat_interleave(group, dim=1),
            value.repeat_interleave(group, dim=1),
            is_causal=True,
        )
    return attend_in_blocks(query, key, value)


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute what `attend` does, in its shapes, with matrix products over blocks of queries.

    The compiler fuses what lies between the products. Measured on two cores with bf16 products, a
    training step is about half as long again with PyTorch's own kernel.
    """
    batch, heads, tokens, width = query.shape
    kv_heads = key.shape[1]
    grouped = query.reshape(batch * kv_heads, heads // kv_heads, tokens, width)
    keys = key.reshape(batch * kv_heads, tokens, width)
    values = value.reshape(batch * kv_heads, tokens, width)
    position = torch.arange(tokens, device=query.device)
    blocks: list[Tensor] = []
    for begin in range(0, tokens, QUERY_BLOCK):
        end = min(begin + QUERY_BLOCK, tokens)
        rows = grouped[:, :, begin:end].flatten(1, 2)
        scores = torch.bmm(rows, keys[:, :end].transpose(1, 2)).float() * width**-0.5
        later = position[begin:end, None] < position[:end]
        scores = scores.view(len(keys), -1, end - begin, end).masked_fill(later, float("-inf"))
        weights = scores.softmax(-1).to(values.dtype).flatten(1, 2)
        blocks.append(torch.bmm(weights, values[:, :end]).view(len(keys), -1, end - begin, width))
    return torch.cat(blocks, dim=2).reshape(batch, heads, tokens, width)
