"""An independent count of what an engine exports: from its requests, without bucket or event."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from prodtop.engine.metrics.export_buckets import RAW_BOUNDS
from prodtop.engine.metrics.exported import MOST_DRAFTS, Counted, accepted_at
from prodtop.engine.protocol.served import ExportedHistogram
from prodtop.engine.serving.request import Request, Status


def values_of(requests: Sequence[Request]) -> dict[str, list[float]]:
    """The values of each histogram, but for that of steps, which no request tells of."""
    values: dict[str, list[float]] = {name: [] for name in RAW_BOUNDS if name != "step_tokens"}
    for request in requests:
        times_s = request.token_times_s
        gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
        values["itl"] += gaps_s
        values["output_gap"] += [gap_s for gap_s in gaps_s if gap_s]
        values["ttft"] += [time_s - request.arrival_at_s for time_s in times_s[:1]]
        if request.status is not Status.FINISHED:
            continue
        assert request.last_token_at_s is not None
        values["e2e"].append(request.last_token_at_s - request.arrival_at_s)
        values["prompt_tokens"].append(len(request.prompt_tokens))
        values["generation_tokens"].append(len(request.output_tokens))
        values["max_tokens"].append(request.max_tokens)
        if is_cached(request):
            continue
        assert request.queued_at_s is not None
        assert request.scheduled_at_s is not None
        values["ttft_finished"].append(times_s[0] - request.arrival_at_s)
        values["computed_prompt_tokens"].append(
            len(request.prompt_tokens) - request.cached_prompt_tokens
        )
        values["queue"].append(request.scheduled_at_s - request.queued_at_s)
        values["prefill"].append(times_s[0] - request.scheduled_at_s)
        values["decode"].append(times_s[-1] - times_s[0])
        values["inference"].append(times_s[-1] - request.scheduled_at_s)
        if len(times_s) > 1:
            values["tpot"].append((times_s[-1] - times_s[0]) / (len(times_s) - 1))
    return values


def is_cached(request: Request) -> bool:
    """Whether the response cache answered it."""
    return request.status is Status.FINISHED and request.queued_at_s is None


def check_histogram(name: str, held: ExportedHistogram, values: Sequence[float]) -> None:
    """Every bucket holds what lies in it, and the sum is that of the values."""
    counts = np.cumsum(held.counts)
    assert counts[-1] == len(values), name
    # Differences of moments, taken in another order, may fall to the other side of their bound.
    edges, rows = np.array(RAW_BOUNDS[name]), np.array(values).reshape(-1, 1)
    assert ((rows <= edges * (1 - 1e-9)).sum(axis=0) <= counts[:-1]).all(), name
    assert ((rows <= edges * (1 + 1e-9)).sum(axis=0) >= counts[:-1]).all(), name
    assert held.total == pytest.approx(sum(values), rel=1e-9, abs=1e-9), name


def check_exported(counted: Counted, requests: Sequence[Request]) -> None:
    """What was counted is what these requests say, which are all that were served."""
    for name, values in values_of(requests).items():
        check_histogram(name, counted.histograms[name], values)
    started = [request for request in requests if request.token_times_s]
    finished = Counter(
        str(request.finish_reason) for request in requests if request.status is Status.FINISHED
    )
    aborted = sum(request.status is Status.ABORTED for request in requests)
    assert counted.by_reason["stop"] == finished["stop"]
    assert counted.by_reason["length"] == finished["length"]
    assert counted.by_reason["abort"] + counted.by_reason["error"] == aborted
    in_system = sum(not request.done for request in requests)
    generated = sum(len(request.token_times_s) for request in requests)
    preempted = sum(request.preemptions for request in requests)
    prompt_tokens = sum(len(request.prompt_tokens) for request in started)
    cached_tokens = sum(request.cached_prompt_tokens for request in started)
    got = counted.counters
    assert got["requests_submitted"] == len(requests)
    assert got["requests_submitted"] == (
        sum(counted.by_reason.values()) + got["requests_refused"] + in_system
    )
    assert got["generation_tokens"] == generated
    assert got["prompt_tokens"] == prompt_tokens
    assert got["prompt_tokens_cached"] == cached_tokens
    assert got["prompt_tokens_computed"] == prompt_tokens - cached_tokens
    assert got["preemptions_kv_blocks"] + got["preemptions_switch"] == preempted
    assert got["response_hits"] == sum(map(is_cached, requests))
    assert got["response_cache_tokens"] == sum(
        len(request.output_tokens) for request in requests if is_cached(request)
    )
    assert got["prefix_hit_tokens"] == sum(request.cached_prompt_tokens for request in requests)
    # Accepted drafts came with the token before them.
    at_once = sum(
        earlier == later for each in requests for earlier, later in pairwise(each.token_times_s)
    )
    by_position = [got[accepted_at(position)] for position in range(MOST_DRAFTS)]
    assert got["accepted_draft_tokens"] == at_once == sum(by_position)
    assert by_position == sorted(by_position, reverse=True)
    assert by_position[0] <= got["drafts"] <= got["draft_tokens"]
    step_tokens = counted.histograms["step_tokens"]
    assert sum(step_tokens.counts) == got["steps"]
    assert step_tokens.total == got["prefill_tokens"] + got["generation_tokens"]
