"""Logprobs of tokens, from the logits as the model gives them: before edits, at temperature 1."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..protocol.served import TokenLogprob
from .step_plan import Chunk
from .transfers import slices, to_host


@dataclass(frozen=True, slots=True)
class StepLogprobs:
    """What a step brought, by request id: of its sampled token, and of the prompt tokens from the
    first one's index on."""

    sampled: dict[int, TokenLogprob] = field(default_factory=dict)
    prompts: dict[int, tuple[int, list[TokenLogprob]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """Tokens `[rows]` with their logprobs and ranks, and the `top` likeliest `[rows, top]` with
    theirs, likeliest first; on the host once what it was measured on gets there."""

    tokens: Tensor
    logprobs: Tensor
    ranks: Tensor
    top_tokens: Tensor
    top_logprobs: Tensor

    def to_host(self) -> "Measured":
        """A copy on the host, which nobody waits for here."""
        tensors = (self.tokens, self.logprobs, self.ranks, self.top_tokens, self.top_logprobs)
        return Measured(*(to_host(tensor) for tensor in tensors))

    def read(self, tops: Sequence[int]) -> list[TokenLogprob]:
        """One entry a row, with so many of the likeliest each."""
        columns = (self.tokens, self.logprobs, self.ranks, self.top_tokens, self.top_logprobs)
        rows = zip(tops, *(column.tolist() for column in columns), strict=True)
        return [
            TokenLogprob(
                token_id=token,
                logprob=logprob,
                rank=rank,
                top=list(zip(top_tokens[:top], top_logprobs[:top], strict=True)),
            )
            for top, token, logprob, rank, top_tokens, top_logprobs in rows
        ]


def measure(logits: Tensor, tokens: Tensor, top: int) -> Measured:
    """The logprobs of int64 `tokens [rows]` under `logits [rows, vocabulary]`, and of the `top`
    likeliest of each row, in fp32. Of equal tokens all have the rank of the first."""
    return _joined(
        [_measure(logits[rows], tokens[rows], top) for rows in slices(len(tokens), logits.shape[1])]
    )


def _measure(logits: Tensor, tokens: Tensor, top: int) -> Measured:
    raw = logits.float()
    total = raw.logsumexp(dim=-1, keepdim=True)
    # A row of no numbers has no token: what is read of it here goes nowhere.
    own = raw.gather(1, tokens.clamp(min=0).unsqueeze(1))
    values, likeliest = raw.topk(top, dim=-1)
    return Measured(
        tokens=tokens,
        logprobs=(own - total).squeeze(1),
        ranks=(raw > own).sum(dim=-1) + 1,
        top_tokens=likeliest,
        top_logprobs=values - total,
    )


def _joined(parts: list[Measured]) -> Measured:
    if len(parts) == 1:
        return parts[0]
    return Measured(
        tokens=torch.cat([part.tokens for part in parts]),
        logprobs=torch.cat([part.logprobs for part in parts]),
        ranks=torch.cat([part.ranks for part in parts]),
        top_tokens=torch.cat([part.top_tokens for part in parts]),
        top_logprobs=torch.cat([part.top_logprobs for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class PromptPart:
    """Prompt tokens of one request whose logprobs a step brings: `tokens`, from index `first` of
    the prompt on. Their logits are those of the step's rows from `row` on."""

    request_id: int
    first: int
    tokens: list[int]
    row: int
    top: int

    @classmethod
    def of(cls, chunk: Chunk, row: int) -> "PromptPart | None":
        """Those of a chunk whose rows begin at `row`; `None` where there are none, or all are
        known from before a preemption."""
        request = chunk.request
        top = request.prompt_logprobs
        if top is None or chunk.ghost:
            return None
        first = max(chunk.start, len(request.prompt_token_logprobs)) + 1
        end = min(chunk.start + chunk.num_tokens + 1, len(request.prompt_tokens))
        if first >= end:
            return None
        tokens = request.prompt_tokens[first:end]
        return cls(request.request_id, first, tokens, row + first - 1 - chunk.start, top)


def prompt_parts(chunks: Sequence[Chunk], rows: Sequence[int]) -> list[PromptPart]:
    """The prompt tokens whose logprobs a step of `chunks` brings; `rows` are their first ones."""
    parts = [PromptPart.of(chunk, row) for chunk, row in zip(chunks, rows, strict=True)]
    return [part for part in parts if part is not None]


def take_logprobs(chunks: Sequence[Chunk], got_token: set[int], brought: StepLogprobs) -> None:
    """Add what a step brought to its requests: those of `got_token` have their token.

    Prompt logprobs are true whatever became of the request since, and are added once.
    """
    for chunk in chunks:
        request = chunk.request
        sampled = brought.sampled.get(request.request_id)
        if sampled is not None and request.request_id in got_token:
            request.token_logprobs.append(sampled)
        first, entries = brought.prompts.get(request.request_id, (0, []))
        known = request.prompt_token_logprobs
        if first <= len(known) + 1:
            known += entries[len(known) + 1 - first :]
