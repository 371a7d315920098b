"""How a trace was served when it was recorded: the figures that a bench has of these requests."""

from dataclasses import dataclass

import numpy as np

from ..protocol import Distribution
from .trace import Floats, Trace

QUANTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Served:
    """Figures as `CellResult` defines them; `None` where the trace does not tell.

    `told` requests of `requests` have an end: all figures are of these. Requests that failed are no
    lines of a trace.
    """

    requests: int
    told: int
    duration_s: float | None
    output_tok_s: float | None
    req_s: float | None
    ttft_ms: Distribution | None
    tpot_ms: Distribution | None
    e2e_ms: Distribution | None
    prefix_hit_rate: float | None
    peak_running: int | None
    mean_running: float | None
    """By Little's law: time in the system over the time that it took."""


def served(trace: Trace) -> Served:
    """What the lines tell of how they were served."""
    if trace.e2e_ms is None:
        return Served(len(trace), 0, *[None] * 9)
    told = ~np.isnan(trace.e2e_ms)
    e2e_ms, arrival_s = trace.e2e_ms[told], trace.arrival_s[told]
    ends_s = arrival_s + e2e_ms / 1e3
    duration_s = float(ends_s.max() - arrival_s.min())
    span_s = duration_s or None
    return Served(
        requests=len(trace),
        told=int(told.sum()),
        duration_s=duration_s,
        output_tok_s=span_s and float(trace.output_tokens[told].sum()) / span_s,
        req_s=span_s and len(e2e_ms) / span_s,
        ttft_ms=None if trace.ttft_ms is None else _distribution(trace.ttft_ms),
        tpot_ms=_tpot_ms(trace),
        e2e_ms=_distribution(e2e_ms),
        prefix_hit_rate=_hit_rate(trace),
        peak_running=_peak(arrival_s, ends_s),
        mean_running=span_s and float(e2e_ms.sum()) / 1e3 / span_s,
    )


def _tpot_ms(trace: Trace) -> Distribution | None:
    """Of requests of two tokens and more: from the first to the last, over the gaps."""
    if trace.ttft_ms is None or trace.e2e_ms is None:
        return None
    paced = trace.output_tokens > 1
    decoding_ms = trace.e2e_ms[paced] - trace.ttft_ms[paced]
    return _distribution(decoding_ms / (trace.output_tokens[paced] - 1))


def _hit_rate(trace: Trace) -> float | None:
    """Cached prompt tokens over prompt tokens, of the lines that tell."""
    if trace.cached_tokens is None:
        return None
    told = ~np.isnan(trace.cached_tokens)
    return float(trace.cached_tokens[told].sum() / trace.prompt_tokens[told].sum())


def _distribution(values_ms: Floats) -> Distribution | None:
    told = values_ms[~np.isnan(values_ms)]
    if not len(told):
        return None
    p50, p95, p99 = (float(each) for each in np.percentile(told, QUANTILES))
    return Distribution(mean=float(told.mean()), p50=p50, p95=p95, p99=p99)


def _peak(arrival_s: Floats, ends_s: Floats) -> int:
    """The most requests in the system at once; one that ends as another comes is gone by then."""
    times_s = np.concatenate([ends_s, arrival_s])
    changes = np.concatenate([np.full(len(ends_s), -1), np.full(len(arrival_s), 1)])
    # Stable: of equal times the ends, which stand first, come first.
    return int(np.cumsum(changes[np.argsort(times_s, kind="stable")]).max())
