"""Random weights of a model's shape: for speed and memory, not for text."""

import torch
from torch import Tensor

from ..precision.projection import Int4Projection
from ..shape.model_shape import ModelShape
from .weight_memory import HOST
from .weights import MasterWeights, allocate

_POOL_SIZE = (1 << 20) + 7
"""Random values to draw tensors from; odd, so that rows of a weight do not repeat in step."""

_STEPS_PER_DEVIATION = 4.61
"""The standard deviation of values spread evenly over 0 … 15."""


def dummy_weights(
    config: ModelShape,
    dtype: torch.dtype,
    seed: int = 0,
    device: torch.device = HOST,
) -> MasterWeights:
    """Random weights of `config`'s shape, made on `device`: the same values on each.

    Tensors are filled from one pool of normal values, each from another offset: drawing billions of
    values anew would take minutes.
    """
    generator = torch.Generator().manual_seed(seed)
    with device:
        weights = allocate(config, dtype)
    deviation = config.hidden**-0.5
    normal = torch.empty(_POOL_SIZE).normal_(0.0, deviation, generator=generator)
    pool = normal.to(device, dtype)
    bytes_pool = torch.randint(256, (_POOL_SIZE,), generator=generator).to(device, torch.uint8)

    def fill(target: Tensor, source: Tensor) -> None:
        offset = int(torch.randint(_POOL_SIZE, (), generator=generator))
        _repeat(source.roll(offset), target.view(-1))

    for norm in weights.norms():
        norm.weight.fill_(1.0)
        if norm.bias is not None:
            norm.bias.zero_()
    for projection in weights.projections():
        if isinstance(projection, Int4Projection):
            fill(projection.q, bytes_pool)
            projection.zero.fill_(8)
            projection.scale.fill_(deviation / _STEPS_PER_DEVIATION)
        else:
            fill(projection.weight, pool)
        if projection.bias is not None:
            fill(projection.bias, pool)
    fill(weights.embedding, pool)
    if weights.positions is not None:
        fill(weights.positions, pool)
    if not config.tied_embeddings:
        fill(weights.head, pool)
    return weights


def _repeat(pool: Tensor, target: Tensor) -> None:
    """Repeat `pool` over the flat `target`."""
    whole = target.numel() // pool.numel() * pool.numel()
    target[:whole].view(-1, pool.numel()).copy_(pool)
    target[whole:].copy_(pool[: target.numel() - whole])
