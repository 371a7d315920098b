"""What a level's next-token distributions score on a text, and how they differ from another's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocol import Divergence
from .chunks import ScoredChunk
from .statistics import mean_interval, quantile, share_interval
from .text_scorer import ROWS_AT_ONCE, TextScorer


@dataclass(frozen=True, slots=True)
class TokenDifferences:
    """By scored token, fp64 `[tokens]`: KL of the reference from the level in nats, the change of
    the true token's probability, and (bool) whether both have the same likeliest token."""

    kl: Tensor
    probability_change: Tensor
    same_top: Tensor


@torch.inference_mode()
def token_losses(scorer: TextScorer, chunk: ScoredChunk, hidden: Tensor) -> Tensor:
    """-ln p of each scored token, fp64 `[scored]` on the CPU; `hidden` as `scored_hidden` gives."""
    targets = _targets(scorer, chunk)
    parts = [
        -torch.log_softmax(scorer.logits(hidden[rows]), dim=-1)
        .gather(1, targets[rows].unsqueeze(1))
        .squeeze(1)
        .double()
        for rows in _rows(len(targets))
    ]
    return torch.cat(parts).cpu()


def scored_hidden(scorer: TextScorer, chunk: ScoredChunk) -> Tensor:
    """Hidden states `[scored, hidden]` that predict the scored tokens of a chunk.

    Kept of the reference in place of its logits, which take vocabulary ÷ hidden times as much.
    """
    return scorer.hidden(chunk.tokens[:-1], chunk.first - 1)


@torch.inference_mode()
def token_differences(
    level: TextScorer,
    level_hidden: Tensor,
    reference: TextScorer,
    reference_hidden: Tensor,
    chunk: ScoredChunk,
) -> TokenDifferences:
    """Compare two distributions over the same tokens. Both heads are in their base precision."""
    targets, device = _targets(level, chunk), level.decoder.device
    parts = []
    for rows in _rows(len(targets)):
        ours = torch.log_softmax(level.logits(level_hidden[rows].to(device)), dim=-1)
        theirs = torch.log_softmax(reference.logits(reference_hidden[rows].to(device)), dim=-1)
        weight = theirs.exp()
        # A token without probability in the reference adds nothing, whatever the level says.
        kl = torch.where(weight > 0, weight * (theirs - ours), 0.0).sum(-1, dtype=torch.float64)
        true = targets[rows].unsqueeze(1)
        change = ours.gather(1, true).exp() - theirs.gather(1, true).exp()
        same = ours.argmax(-1) == theirs.argmax(-1)
        parts.append((kl.clamp_(min=0.0), change.squeeze(1).double(), same))
    kl, change, same = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return TokenDifferences(kl, change, same)


def divergence(differences: Sequence[TokenDifferences]) -> Divergence:
    """The differences of all chunks in one."""
    kl = torch.cat([each.kl for each in differences])
    change = torch.cat([each.probability_change for each in differences])
    same = torch.cat([each.same_top for each in differences])
    return Divergence(
        kl_mean=mean_interval(kl),
        kl_median=quantile(kl, 0.5),
        kl_p99=quantile(kl, 0.99),
        kl_p999=quantile(kl, 0.999),
        kl_max=float(kl.max()),
        same_top=share_interval(int(same.sum()), same.numel()),
        rms_dp=float(change.square().mean().sqrt()),
    )


def _targets(scorer: TextScorer, chunk: ScoredChunk) -> Tensor:
    return torch.tensor(chunk.tokens[chunk.first :], device=scorer.decoder.device)


def _rows(count: int) -> Iterator[slice]:
    for first in range(0, count, ROWS_AT_ONCE):
        yield slice(first, min(first + ROWS_AT_ONCE, count))
