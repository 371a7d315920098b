"""What a load on a server came to, of the requests and their answers."""

import statistics
from collections.abc import Sequence

import numpy as np

from ..protocol import Distribution, RequestSample
from .messages import ServerResult
from .run import LoadRun, Served

QUANTILES = (50, 95, 99)
NOT_TOLD = (
    "device",
    "strategy",
    "precision",
    "queue_ms",
    "batch_waste",
    "response_hit_rate",
    "draft_acceptance_rate",
    "memory",
    "mbu",
    "mfu",
    "energy_j",
)
"""What only an engine knows of itself."""


def result_of(
    run: LoadRun, *, model: str, url: str, api: str, versions: dict[str, str], samples: bool = False
) -> ServerResult:
    """The figures of a run. Latencies and tokens are of answers that came whole."""
    whole = [each for each in run.served if not each.failed]
    refused = [each for each in run.served if each.answer.status in (429, 503)]
    failed = [each for each in run.served if each.failed and each not in refused]
    duration_s = _duration_s(run.served)
    output = sum(each.tokens for each in whole)
    prompt = _sum_told([each.answer.prompt_tokens for each in whole])
    cached = _sum_told([each.answer.cached_tokens for each in whole])
    errors: dict[str, int] = {}
    for each in failed:
        errors[each.answer.error or ""] = errors.get(each.answer.error or "", 0) + 1

    def rate(amount: float) -> float:
        return amount / duration_s if duration_s else 0.0

    return ServerResult(
        **dict.fromkeys(NOT_TOLD),
        model=model,
        url=url,
        api=api,
        requests=len(run.served),
        failed=len(failed),
        rejected=len(refused),
        duration_s=duration_s,
        output_tok_s=rate(output),
        total_tok_s=None if prompt is None else rate(output + prompt),
        req_s=rate(len(whole)),
        ttft_ms=_distribution([each.ttft_s for each in whole]),
        ttfb_ms=_distribution([each.ttfb_s for each in whole]),
        tpot_ms=_distribution([each.tpot_s for each in whole]),
        itl_ms=_distribution([gap for each in whole for gap in each.gaps_s]),
        e2e_ms=_distribution([each.e2e_s for each in whole]),
        prefix_hit_rate=cached / prompt if prompt and cached is not None else None,
        peak_running=run.peak_running,
        output_tokens=output,
        prompt_tokens=prompt,
        dispatch_ms=_distribution([each.sent_s - each.arrival_s for each in run.served]),
        loop_lag_ms=_distribution(run.loop_lag_s),
        errors=errors,
        versions=versions,
        samples=_samples(run.served) if samples else None,
    )


def _duration_s(served: Sequence[Served]) -> float:
    """From the first arrival to the last end."""
    if not served:
        return 0.0
    return max(each.end_s for each in served) - min(each.arrival_s for each in served)


def _sum_told(values: Sequence[int | None]) -> int | None:
    """`None` where one of them is not told."""
    told = [value for value in values if value is not None]
    return sum(told) if told and len(told) == len(values) else None


def _distribution(values_s: Sequence[float | None]) -> Distribution | None:
    told = [value * 1e3 for value in values_s if value is not None]
    if not told:
        return None
    p50, p95, p99 = (float(each) for each in np.percentile(told, QUANTILES))
    return Distribution(mean=statistics.fmean(told), p50=p50, p95=p95, p99=p99)


def _samples(served: Sequence[Served]) -> list[RequestSample]:
    began_s = min((each.arrival_s for each in served), default=0.0)
    return [
        RequestSample(
            arrival_s=each.arrival_s - began_s,
            end_s=each.end_s - began_s,
            finished=not each.failed,
            response_hit=False,
            prompt_tokens=each.answer.prompt_tokens or 0,
            cached_prompt_tokens=each.answer.cached_tokens or 0,
            output_tokens=each.tokens,
            e2e_ms=_ms(each.e2e_s),
            ttfb_ms=_ms(each.ttfb_s),
            ttft_ms=_ms(each.ttft_s),
            tpot_ms=_ms(each.tpot_s),
        )
        for each in sorted(served, key=lambda each: each.arrival_s)
    ]


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1e3
