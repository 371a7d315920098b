"""Attention over a paged KV cache in plain PyTorch: the reference, and the path on the CPU.

A step's rows are few kinds of ragged: decode rows (one query each) and prefill chunks (many). Each
kind is padded to a rectangle and done in one batched operation, so that the cost in Python does not
grow with the number of sequences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Sequences of a step with queries padded to the same number.

    `rows` `[sequences · queries]` are indices into the step's rows (padding repeats a real row),
    or `None` where they are the rows `first … first + sequences` in order.
    `block_table` `[sequences · blocks]` are KV blocks, padded with any valid block.
    `mask` `[sequences, 1, queries · heads per KV head, blocks · block tokens]` is added to the
    scores: 0 where a query sees a key and -inf elsewhere.
    `windowed` has the mask of each sliding window, by its tokens: a query sees no further back.
    `scatter` `[real rows]` picks the real rows out of the padded result; `None` if none is padded.
    """

    sequences: int
    queries: int
    first: int
    rows: Tensor | None
    block_table: Tensor
    mask: Tensor
    scatter: Tensor | None
    windowed: Mapping[int, Tensor] = field(default_factory=dict)


def paged_attention(
    q: Tensor,
    kv_blocks: Tensor,
    groups: list[AttentionGroup],
    *,
    scale: float | None = None,
    window: int | None = None,
    softcap: float | None = None,
) -> Tensor:
    """Causal attention of a step's rows over the KV cache of one layer.

    `q` is `[rows, heads, head_dim]`; `kv_blocks` `[blocks, block_tokens, 2, kv_heads, head_dim]`
    already holds the keys and values of these rows. Groups lie one after the other in the order of
    rows. Scores are multiplied by `scale` (`None`: `head_dim ** -0.5`) and, with a `softcap`,
    become `softcap · tanh(score / softcap)` (Gemma 2). With a `window` a query sees that many
    tokens, itself included. Returns `[rows, heads · head_dim]`.

    Raises KeyError for a window that a group has no mask for.
    """
    outputs = [_group_attention(q, kv_blocks, group, scale, window, softcap) for group in groups]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _group_attention(
    q: Tensor,
    kv_blocks: Tensor,
    group: AttentionGroup,
    scale: float | None,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    heads, head_dim = q.shape[1], q.shape[2]
    kv_heads = kv_blocks.shape[3]
    heads_per_kv = heads // kv_heads
    sequences, queries = group.sequences, group.queries
    if group.rows is None:
        q = q[group.first : group.first + sequences * queries]
    else:
        q = q.index_select(0, group.rows)
    # The query heads that share a KV head become more queries of that head: no copy of the keys.
    q = q.view(sequences, queries, kv_heads, heads_per_kv, head_dim).transpose(1, 2)
    q = q.reshape(sequences, kv_heads, queries * heads_per_kv, head_dim)
    kv = kv_blocks.index_select(0, group.block_table).view(sequences, -1, 2, kv_heads, head_dim)
    keys, values = (part.transpose(1, 2) for part in kv.unbind(2))
    mask = group.mask if window is None else group.windowed[window]
    if softcap is None:
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=scale)
    else:
        out = _softcapped_attention(q, keys, values, mask, scale or head_dim**-0.5, softcap)
    out = out.view(sequences, kv_heads, queries, heads_per_kv, head_dim).transpose(1, 2)
    out = out.reshape(sequences * queries, heads * head_dim)
    return out if group.scatter is None else out.index_select(0, group.scatter)


def _softcapped_attention(
    q: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float, softcap: float
) -> Tensor:
    """Attention whose scores are capped before the mask, which torch has no operation for."""
    scores = (q @ keys.transpose(-1, -2)).float().mul_(scale / softcap).tanh_().mul_(softcap)
    return scores.add_(mask).softmax(dim=-1).to(q.dtype) @ values
