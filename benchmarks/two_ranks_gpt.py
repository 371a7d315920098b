"""A small GPT of the planner's kind (RMSNorm, rotary positions, SwiGLU) and its three splits."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from two_ranks_work import Work


class Block(nn.Module):
    """One layer; `x` is [batch, sequence, hidden]. Heads are as many as its projection gives."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        h = work.hidden
        self.head_dim = h // work.heads
        self.attention_norm = nn.RMSNorm(h)
        self.query = nn.Linear(h, h, bias=False)
        self.key = nn.Linear(h, h, bias=False)
        self.value = nn.Linear(h, h, bias=False)
        self.out = nn.Linear(h, h, bias=False)
        self.mlp_norm = nn.RMSNorm(h)
        self.gate = nn.Linear(h, work.ffn, bias=False)
        self.up = nn.Linear(h, work.ffn, bias=False)
        self.down = nn.Linear(work.ffn, h, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attention_norm(x)
        q, k, v = (self._heads(part(normed)) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        normed = self.mlp_norm(x)
        added: Tensor = x + self.down(F.silu(self.gate(normed)) * self.up(normed))
        return added

    def _heads(self, projected: Tensor) -> Tensor:
        """[batch, sequence, width] as [batch, heads, sequence, head_dim]."""
        batch, sequence, _ = projected.shape
        return projected.view(batch, sequence, -1, self.head_dim).transpose(1, 2)


def rotated(heads: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on [batch, heads, sequence, head_dim]."""
    half = heads.shape[-1] // 2
    positions = torch.arange(heads.shape[2], device=heads.device, dtype=torch.float32)
    step = torch.arange(half, device=heads.device, dtype=torch.float32) / half
    angles = positions[:, None] * 10_000.0**-step
    cos, sin = angles.cos().to(heads.dtype), angles.sin().to(heads.dtype)
    first, second = heads[..., :half], heads[..., half:]
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Gpt(nn.Module):
    """The layers `which` of the model; the first part embeds, the last gives logits.

    `compute` is the type of the residual stream.
    """

    def __init__(self, work: Work, which: Sequence[int], compute: torch.dtype) -> None:
        super().__init__()
        self.compute = compute
        first, last = which[0] == 0, which[-1] == work.layers - 1
        self.embedding = nn.Embedding(work.vocabulary, work.hidden) if first else None
        self.blocks = nn.ModuleList(Block(work) for _ in which)
        self.norm = nn.RMSNorm(work.hidden) if last else None
        self.head = nn.Linear(work.hidden, work.vocabulary, bias=False) if last else None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [batch, sequence], or [batch, sequence, hidden] from the part before."""
        if self.embedding is not None:
            x = self.embedding(x).to(self.compute)
        for block in self.blocks:
            x = block(x)
        return x if self.norm is None or self.head is None else self.head(self.norm(x))


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in fp32: `logits` [batch, sequence, vocabulary], `targets` their first two."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def shard(model: Gpt, mesh: DeviceMesh, compute: torch.dtype) -> None:
    """FSDP2: each layer by itself, and the rest; computed in `compute`, reduced in fp32."""
    policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def split_tensors(model: Gpt, mesh: DeviceMesh) -> None:
    """Tensor parallelism after Megatron-LM: heads and MLP split, two all-reduces a layer and pass.

    The logits stay split over the vocabulary, for a loss that is parallel too.
    """
    columns, rows = ColwiseParallel(), RowwiseParallel()
    for block in model.blocks:
        plan = dict.fromkeys(("query", "key", "value", "gate", "up"), columns)
        parallelize_module(block, mesh, {**plan, "out": rows, "down": rows})
    ends = {
        "embedding": RowwiseParallel(input_layouts=Replicate()),
        "head": ColwiseParallel(output_layouts=Shard(-1), use_local_output=False),
    }
    parallelize_module(model, mesh, ends)
