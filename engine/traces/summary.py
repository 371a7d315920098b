"""What is in a trace, in figures."""

from dataclasses import dataclass

import numpy as np

from .trace import Ints, Trace


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of prompts or outputs. A percentile is the smallest length that so many requests do
    not exceed."""

    mean: float
    p50: int
    p95: int
    p99: int
    most: int
    total: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """`requests_per_s`: over the span from the first to the last arrival; `None` without one.

    `shared_prefix_share`: prompt tokens in leading blocks that an earlier request had, over all
    prompt tokens. A prefix cache that forgets nothing saves so much; `None` where the trace tells
    of no content.
    """

    name: str
    format: str
    entries: int
    span_s: float
    requests_per_s: float | None
    prompt_tokens: Lengths
    output_tokens: Lengths
    block_tokens: int | None
    shared_prefix_share: float | None
    without_output: int
    reordered: int
    truncated: bool


def summarize(trace: Trace) -> TraceSummary:
    """The figures of a trace."""
    span_s = trace.span_s
    return TraceSummary(
        name=trace.name,
        format=trace.format.value,
        entries=len(trace),
        span_s=span_s,
        requests_per_s=(len(trace) - 1) / span_s if span_s else None,
        prompt_tokens=_lengths(trace.prompt_tokens),
        output_tokens=_lengths(trace.output_tokens),
        block_tokens=trace.block_tokens,
        shared_prefix_share=shared_prefix_share(trace),
        without_output=trace.without_output,
        reordered=trace.reordered,
        truncated=trace.truncated,
    )


def shared_prefix_share(trace: Trace) -> float | None:
    """See `TraceSummary`."""
    if trace.block_tokens is None:
        return None
    seen: set[int] = set()
    shared = 0
    for entry in trace.entries():
        ids = entry.hash_ids or ()
        leading = next((place for place, each in enumerate(ids) if each not in seen), len(ids))
        shared += min(leading * trace.block_tokens, entry.prompt_tokens)
        seen.update(ids[leading:])
    return shared / int(trace.prompt_tokens.sum())


def _lengths(tokens: Ints) -> Lengths:
    p50, p95, p99 = np.quantile(tokens, (0.5, 0.95, 0.99), method="inverted_cdf").tolist()
    return Lengths(
        mean=float(tokens.mean()),
        p50=int(p50),
        p95=int(p95),
        p99=int(p99),
        most=int(tokens.max()),
        total=int(tokens.sum()),
    )
