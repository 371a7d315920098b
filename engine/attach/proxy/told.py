"""What is told of one request that passed, in the messages that the screen knows."""

from ...metrics.request_timeline import longest_gap, microseconds, token_counts
from ...protocol import (
    FinishedRequest,
    IntervalKind,
    LiveRequest,
    RequestState,
    RequestTimeline,
    TimelineInterval,
)
from .exchange import Exchange


def finished_request(exchange: Exchange) -> FinishedRequest:
    """One that ended, as its client saw it."""
    failed, arrival_at_s = exchange.failure is not None, exchange.arrival_at_s
    latency = exchange.latency()
    return FinishedRequest(
        request_id=exchange.request_id,
        strategy=None,
        precision=None,
        prompt_tokens=exchange.prompt_tokens,
        output_tokens=exchange.output_tokens,
        finish_reason=_reason(exchange) or "ended",
        failed=failed,
        arrival_at_s=arrival_at_s,
        e2e_ms=latency.e2e_s * 1e3,
        ttfb_ms=latency.ttfb_s * 1e3,
        queue_ms=_ms(None if failed else latency.queue_s),
        ttft_ms=_ms(None if failed else latency.ttft_s),
        tpot_ms=_ms(None if failed else latency.tpot_s),
        cached_prompt_tokens=exchange.cached_tokens,
    )


def live_request(exchange: Exchange) -> LiveRequest:
    """One that is in the system, as far as it has come."""
    first_at_s = exchange.first_token_at_s
    ttft_s = None if first_at_s is None else first_at_s - exchange.arrival_at_s
    return LiveRequest(
        request_id=exchange.request_id,
        state=_state(exchange),
        arrival_at_s=exchange.arrival_at_s,
        prompt_tokens=exchange.prompt_tokens,
        output_tokens=exchange.output_tokens,
        max_tokens=exchange.asked.max_tokens,
        cached_prompt_tokens=exchange.cached_tokens,
        ttft_ms=_ms(ttft_s),
    )


def timeline(exchange: Exchange, now_s: float) -> RequestTimeline:
    """All that is known of a request; of one in the system up to `now_s`."""
    end_s = now_s if exchange.ended_at_s is None else exchange.end_s
    gap = longest_gap(exchange)
    first_at_s = exchange.first_token_at_s
    return RequestTimeline(
        request_id=exchange.request_id,
        state=_state(exchange),
        at_s=end_s,
        e2e_us=microseconds(exchange, end_s),
        first_token_us=None if first_at_s is None else microseconds(exchange, first_at_s),
        intervals=_intervals(exchange, end_s),
        token_counts=token_counts(exchange, end_s),
        longest_gap_us=None if gap is None else round(gap[1] * 1e6),
        longest_gap_start_us=None if gap is None else microseconds(exchange, gap[0]),
        prompt_tokens=exchange.prompt_tokens,
        output_tokens=exchange.output_tokens,
        max_tokens=exchange.asked.max_tokens,
        cached_prompt_tokens=exchange.cached_tokens,
        finish_reason=_reason(exchange),
    )


def _intervals(exchange: Exchange, end_s: float) -> list[TimelineInterval]:
    """The request on its way to the server, the wait for its first token (parted where the engine
    tells how long the prompt took), and its tokens; without a gap."""
    sent_at_s, first_at_s = exchange.sent_at_s, exchange.first_token_at_s
    begins: list[tuple[float, IntervalKind, int]] = [
        (exchange.arrival_at_s, IntervalKind.ARRIVING, 0)
    ]
    if sent_at_s is not None:
        queue_s = exchange.queue_s
        if queue_s is None:
            begins.append((sent_at_s, IntervalKind.FIRST_TOKEN, 0))
        else:
            prefill_at_s = exchange.arrival_at_s + queue_s
            begins.append((sent_at_s, IntervalKind.QUEUED, 0))
            begins.append((prefill_at_s, IntervalKind.PREFILL, exchange.prompt_tokens or 0))
    if first_at_s is not None:
        begins.append((first_at_s, IntervalKind.DECODE, exchange.num_output_tokens))
    places = [min(microseconds(exchange, at), microseconds(exchange, end_s)) for at, *_ in begins]
    places.append(microseconds(exchange, end_s))
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1])
    return [
        TimelineInterval(kind=kind, start_us=start, length_us=end - start, tokens=tokens)
        for (_, kind, tokens), start, end in zip(begins, places[:-1], places[1:], strict=True)
        if end > start or tokens
    ]


def _state(exchange: Exchange) -> RequestState:
    if exchange.ended_at_s is not None:
        return RequestState.FINISHED if exchange.failure is None else RequestState.FAILED
    return RequestState.UNSTARTED if exchange.unstarted else RequestState.DECODE


def _reason(exchange: Exchange) -> str | None:
    if exchange.failure is not None:
        return exchange.failure
    return None if exchange.answer is None else exchange.answer.finish_reason


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
