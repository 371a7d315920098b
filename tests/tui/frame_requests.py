"""Single requests of the scripted engine: in the system, ended, and one that was slow."""

from frame_latencies import STREAMING
from prodtop.engine.protocol import (
    FinishedRequest,
    FinishedSample,
    IntervalKind,
    LiveRequest,
    PrecisionName,
    RequestsInSystem,
    RequestState,
    RequestTimeline,
    StrategyName,
    TimelineInterval,
)

CACHING = (StrategyName.CACHED, StrategyName.HYBRID)


def in_system(second: float, strategy: StrategyName, users: int = 32) -> RequestsInSystem:
    """The requests that run and wait then: one decodes further than the next."""
    running = 1 if strategy is StrategyName.SINGLE else users
    first = int(second * 38)
    requests = []
    for place in range(users):
        runs = place < running
        age_s = 0.6 * (users - place) / users + (0.0 if runs else 1.0)
        tokens = max(0, int((age_s - 0.042) / 0.0089) + 1) if runs else 0
        state = RequestState.DECODE if tokens else RequestState.PREFILL
        requests.append(
            LiveRequest(
                request_id=first + place,
                state=state if runs else RequestState.WAITING,
                arrival_at_s=500.0 + second - age_s,
                prompt_tokens=90 + 7 * place,
                output_tokens=tokens,
                max_tokens=64,
                cached_prompt_tokens=64 if strategy in CACHING else 0,
                queue_ms=4.2 if runs else None,
                ttft_ms=42.0 if tokens else None,
            )
        )
    return RequestsInSystem(
        at_s=500.0 + second, running=running, waiting=users - running, requests=requests
    )


def timeline(request_id: int = 2280) -> RequestTimeline:
    """A request that waited for 3.9 s behind others, and was preempted once."""
    spans = (
        (IntervalKind.ARRIVING, 1_300, 0),
        (IntervalKind.QUEUED, 3_900_000, 0),
        (IntervalKind.PREFILL, 180_000, 512),
        (IntervalKind.PREFILL, 118_700, 300),
        (IntervalKind.DECODE, 260_000, 30),
        (IntervalKind.PREEMPTED, 700_000, 0),
        (IntervalKind.PREFILL, 240_000, 842),
        (IntervalKind.DECODE, 300_000, 34),
    )
    intervals, at_us = [], 0
    for kind, length_us, tokens in spans:
        intervals.append(
            TimelineInterval(kind=kind, start_us=at_us, length_us=length_us, tokens=tokens)
        )
        at_us += length_us
    return RequestTimeline(
        request_id=request_id,
        state=RequestState.FINISHED,
        at_s=560.0,
        e2e_us=at_us,
        first_token_us=4_200_000,
        intervals=intervals,
        token_counts=[0] * 88 + [6] * 5 + [0] * 20 + [5] * 6 + [4],
        longest_gap_us=940_000,
        longest_gap_start_us=4_460_000,
        waiting_ahead=212,
        prompt_tokens=812,
        output_tokens=64,
        max_tokens=64,
        finish_reason="length",
    )


def finished(second: float, strategy: StrategyName) -> FinishedSample:
    """Two requests that ended about then."""
    caching = strategy in CACHING
    return FinishedSample(
        requests=[
            FinishedRequest(
                request_id=max(0, int(second * 38) - 9) + number,
                strategy=strategy,
                precision=PrecisionName.BF16,
                prompt_tokens=96 + 7 * number,
                output_tokens=64,
                finish_reason="length",
                arrival_at_s=499.0 + second,
                e2e_ms=612.0 + 9 * number,
                ttfb_ms=42.0 if strategy in STREAMING else 612.0,
                queue_ms=4.2,
                ttft_ms=42.0,
                tpot_ms=8.9,
                from_response_cache=caching and number == 1,
            )
            for number in range(2)
        ]
    )
