"""Choosing the next tokens of a batch in a few batched operations, repeatably.

Sampling adds Gumbel noise to the scaled logits and takes the largest (the Gumbel-max trick; Gumbel
1954), so no cumulative sum is searched. The noise of a token is a hash of the request's seed,
the position and the token id: it depends on neither the batch nor the order of work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .request import Request

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_WORD = 1 << 64
_UNIFORM_BITS = 23
"""So many that `n + 0.5` is exact in fp32: one more, and the largest would round to a uniform of 1,
whose noise is infinite, and chooses a token of any probability."""
_CANDIDATES = 256

BROKEN_LOGITS = -1
"""Stands for the token of a row whose logits are no numbers: no token follows from them."""


@dataclass(frozen=True, slots=True)
class SamplingBatch:
    """The settings of the rows that sample, each `[rows]`; `keys` are those of their noise."""

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    keys: Tensor

    @classmethod
    def of(
        cls, requests: Sequence[Request], device: torch.device, offsets: Sequence[int] | None = None
    ) -> "SamplingBatch":
        """`offsets`: how many tokens after its newest one a row stands, where any stands there."""
        settings = [request.sampling for request in requests]
        keys = [
            _noise_key(request.noise_seed, request.num_output_tokens + offset)
            for request, offset in zip(requests, offsets or repeat(0, len(requests)), strict=True)
        ]
        return cls(
            temperature=torch.tensor([each.temperature_fp32 for each in settings], device=device),
            top_p=torch.tensor([each.top_p for each in settings], device=device),
            top_k=torch.tensor([each.top_k for each in settings], device=device),
            keys=torch.tensor(keys, dtype=torch.int64, device=device),
        )


@torch.inference_mode()
def sample(
    logits: Tensor, requests: Sequence[Request], offsets: Sequence[int] | None = None
) -> list[int]:
    """The next token of each request, from its row of `logits [requests, vocabulary]`.

    `offsets`: how many drafts after its newest token a row stands, where any does. A row with NaN
    or positive infinity, or with nothing but negative infinity, gets `BROKEN_LOGITS`.
    """
    tokens = logits.argmax(dim=-1)
    # NaN counts as the largest: a look at one logit of a row tells of them all.
    largest = logits.gather(1, tokens.unsqueeze(1))
    usable = largest.squeeze(1).isfinite()
    drawn = [row for row, request in enumerate(requests) if not request.sampling.greedy]
    if drawn:
        batch = SamplingBatch.of(
            [requests[row] for row in drawn],
            logits.device,
            offsets and [offsets[row] for row in drawn],
        )
        if len(drawn) == len(requests):
            tokens = _sample_rows(_in_range(logits, largest, batch), batch)
        else:
            rows = torch.tensor(drawn, device=logits.device)
            sampled = _in_range(logits[rows], largest[rows], batch)
            tokens = tokens.index_copy(0, rows, _sample_rows(sampled, batch))
    chosen: list[int] = tokens.where(usable, BROKEN_LOGITS).tolist()
    return chosen


def _in_range(logits: Tensor, largest: Tensor, batch: SamplingBatch) -> Tensor:
    """Logits `[rows, vocabulary]` of the same distributions that stay in fp32 over the temperature.

    `largest` are those of the rows `[rows, 1]`. Only rows that leave it are moved, so that a row's
    token does not depend on its neighbours.
    """
    largest = largest.float()
    inside = (largest / batch.temperature.unsqueeze(1)).isfinite()
    return logits if bool(inside.all()) else logits.float() - largest.masked_fill(inside, 0.0)


def _sample_rows(logits: Tensor, batch: SamplingBatch) -> Tensor:
    scaled = logits.float() / batch.temperature.unsqueeze(1)
    vocabulary = logits.shape[1]
    if bool(((batch.top_p >= 1) & (batch.top_k == 0)).all()):
        tokens = torch.arange(vocabulary, device=logits.device)
        return (scaled + gumbel_noise(batch.keys, tokens)).argmax(dim=-1)
    # The tokens that top-k and top-p leave nearly always lie within the largest few hundred, which
    # are cheaper to find than a full sort; where they do not, all are sorted.
    few = min(max(_CANDIDATES, int(batch.top_k.max())), vocabulary)
    for candidates in (few, vocabulary):
        values, tokens = scaled.topk(candidates, dim=-1)
        allowed = _allowed(scaled, values, batch)
        if candidates == vocabulary or not bool(allowed[:, -1].any()):
            break
    scores = (values + gumbel_noise(batch.keys, tokens)).masked_fill_(~allowed, float("-inf"))
    return tokens.gather(1, scores.argmax(dim=-1, keepdim=True)).squeeze(1)


def _allowed(scaled: Tensor, values: Tensor, batch: SamplingBatch) -> Tensor:
    """Which candidates top-k, then top-p leave: bool `[rows, candidates]`.

    `scaled` are the logits over the temperature `[rows, vocabulary]`; `values` the candidates among
    them `[rows, candidates]`, largest first.

    Top-p keeps the smallest set whose probabilities reach it (Holtzman et al. 2020), among what
    top-k left. Tokens as likely as the last of them stay too (16-bit logits are often equal), so
    that the choice does not hang on how a sort happens to order them.
    """
    vocabulary = scaled.shape[1]
    limit = torch.where(batch.top_k > 0, batch.top_k, vocabulary).unsqueeze(1)
    edge = values.gather(1, limit.clamp(max=values.shape[1]) - 1)
    within = values >= edge
    top_k_total = values.masked_fill(~within, float("-inf")).logsumexp(dim=-1, keepdim=True)
    total = torch.where(limit < vocabulary, top_k_total, scaled.logsumexp(dim=-1, keepdim=True))
    probabilities = (values - total).exp()
    before = probabilities.cumsum(dim=-1) - probabilities
    nucleus = within & ((before < batch.top_p.unsqueeze(1)) | (batch.top_p.unsqueeze(1) >= 1))
    nucleus[:, 0] = True
    return values >= values.gather(1, nucleus.sum(dim=-1, keepdim=True) - 1)


def gumbel_noise(keys: Tensor, tokens: Tensor) -> Tensor:
    """Standard Gumbel noise `[keys, tokens]`, a pure function of each int64 key and token id.

    `tokens` is `[tokens]`, the same ids for every key, or `[keys, tokens]`.
    """
    words = _mix(keys.unsqueeze(1) + tokens * _signed(_GOLDEN))
    high = _shift_right(words, 64 - _UNIFORM_BITS)
    uniform = (high.float() + 0.5) / (1 << _UNIFORM_BITS)
    return uniform.log_().neg_().log_().neg_()


def _mix(words: Tensor) -> Tensor:
    """The finalizer of splitmix64 (Steele et al. 2014) on wrapping int64 words."""
    words = (words ^ _shift_right(words, 30)) * _signed(_MIX_1)
    words = (words ^ _shift_right(words, 27)) * _signed(_MIX_2)
    return words ^ _shift_right(words, 31)


def _shift_right(words: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's shift of a signed word copies the sign."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def noise_keys(seeds: NDArray[np.uint64], positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The noise keys of tokens: uint64 `[tokens]`, the bits of `SamplingBatch.keys`.

    From each request's seed `[tokens]` and the token's position in its output `[tokens]`.
    """
    counters = (positions + 1).astype(np.uint64)
    keys: NDArray[np.uint64] = seeds * np.uint64(_MIX_1) + counters * np.uint64(_MIX_2)
    return keys


def _noise_key(seed: int, position: int) -> int:
    return _signed((seed * _MIX_1 + (position + 1) * _MIX_2) % _WORD)


def _signed(word: int) -> int:
    return word - _WORD if word >= _WORD >> 1 else word
