"""Edits of logits in place: biases, penalties, banned tokens, masks and min-p, batched.

The edits of a row look at nothing but the row. Biases and penalties are computed in fp64, where
none leaves the range, and rounded once.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .grammar import Mask
from .request import Request
from .step_plan import Chunk
from .token_effects import TokenEffects
from .transfers import slices, to_device


def add_and_penalize(logits: Tensor, rows: Sequence[int], chunks: Sequence[Chunk]) -> None:
    """Biases and penalties of the `chunks` whose logits are `rows` of `logits [rows, vocabulary]`.

    All tokens of requests with penalties must be known.
    """
    touched = [
        (row, chunk.request)
        for row, chunk in zip(rows, chunks, strict=True)
        if chunk.request.edits.by_tokens or chunk.request.edits.logit_bias
    ]
    entries = [(row, request, _effects_of(request)) for row, request in touched]
    entries = [(row, request, effects) for row, request, effects in entries if effects.size]
    if not entries:
        return
    sizes = [effects.size for _, _, effects in entries]
    edits = [request.edits for _, request, _ in entries]
    counts = np.concatenate([effects.counts[: effects.size] for _, _, effects in entries])
    seen = np.concatenate([effects.seen[: effects.size] for _, _, effects in entries])
    bias = np.concatenate([effects.bias[: effects.size] for _, _, effects in entries])
    ids = np.concatenate([effects.ids[: effects.size] for _, _, effects in entries])

    def spread(values: list[float]) -> NDArray[np.float64]:
        return np.repeat(np.array(values, dtype=np.float64), sizes)

    divisors = np.where(seen, spread([each.repetition_penalty for each in edits]), 1)
    taken_off = counts * spread([each.frequency_penalty for each in edits])
    taken_off += (counts > 0) * spread([each.presence_penalty for each in edits])
    device = logits.device
    places = to_device(np.repeat(np.array([row for row, _, _ in entries]), sizes), device)
    tokens = to_device(ids, device)
    numbers = to_device(np.stack([bias, divisors, taken_off]), device)
    raw = logits[places, tokens].double()
    edited = raw + numbers[0]
    edited = torch.where(edited > 0, edited / numbers[1], edited * numbers[1]) - numbers[2]
    # No edit makes a logit infinite, and none hides that it was.
    limits = torch.finfo(logits.dtype)
    edited = torch.where(raw.isfinite(), edited.clamp(limits.min, limits.max), raw)
    logits[places, tokens] = edited.to(logits.dtype)


def banned_tokens(chunk: Chunk) -> frozenset[int]:
    """The tokens that may not be chosen after `chunk`: those that would end its request before
    its `min_tokens`."""
    request = chunk.request
    position = chunk.start + chunk.num_tokens - len(request.prompt_tokens)
    if position >= request.edits.min_tokens:
        return frozenset()
    own = frozenset() if request.ignore_eos else request.stop_token_ids
    return own | request.extra_stop_token_ids


def ban(logits: Tensor, rows: Sequence[int], banned: Sequence[frozenset[int]]) -> None:
    """Make sure that row after row none of the `banned` tokens is chosen."""
    places = [row for row, tokens in zip(rows, banned, strict=True) for _ in tokens]
    if places:
        tokens = [token for each in banned for token in sorted(each)]
        logits[to_device(places, logits.device), to_device(tokens, logits.device)] = -math.inf


def apply_masks(logits: Tensor, rows: Sequence[int], masks: Sequence[Mask]) -> None:
    """Leave of each row the tokens whose bit is set in its mask: int32 `[words]` each."""
    if not masks:
        return
    places = to_device(rows, logits.device)
    words = to_device(np.stack(masks), logits.device)
    bits = torch.arange(32, dtype=torch.int32, device=logits.device)
    for part in slices(len(masks), logits.shape[1]):
        allowed = (words[part].unsqueeze(-1) >> bits & 1).flatten(1)[:, : logits.shape[1]].bool()
        logits[places[part]] = logits[places[part]].masked_fill_(~allowed, -math.inf)


def drop_unlikely(logits: Tensor, rows: Sequence[int], chunks: Sequence[Chunk]) -> None:
    """Min-p: drop what has, over the temperature, less than that share of the likeliest one's
    probability. In logits that is a distance from the largest."""
    wanted = [
        (row, chunk.request.sampling.temperature_fp32 * -math.log(chunk.request.edits.min_p))
        for row, chunk in zip(rows, chunks, strict=True)
        if chunk.request.edits.min_p and not chunk.request.sampling.greedy
    ]
    if not wanted:
        return
    places = to_device([row for row, _ in wanted], logits.device)
    distances = np.array([distance for _, distance in wanted], dtype=np.float32)
    shares = to_device(distances, logits.device).unsqueeze(1)
    for part in slices(len(wanted), logits.shape[1]):
        values = logits[places[part]]
        wide = values.float()
        lowest = wide.amax(dim=-1, keepdim=True) - shares[part]
        logits[places[part]] = values.masked_fill_(wide < lowest, -math.inf)


def _effects_of(request: Request) -> TokenEffects:
    if request.effects is None:
        request.effects = TokenEffects(request.edits, request.prompt_tokens)
    request.effects.update(request.output_tokens)
    return request.effects
