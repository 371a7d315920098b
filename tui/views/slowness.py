"""Why a request was slow, in words: its times against the medians of the window, and where they
went."""

from ...engine.protocol import (
    IntervalKind,
    Latency,
    Percentiles,
    RequestState,
    RequestTimeline,
)
from ...engine.protocol.wording import counted
from ..style.formatting import count, milliseconds

SLOW = 1.5
"""From this many times the median on a request counts as slow."""

_HALF = 0.5
"""What took this share of a time explains it alone."""


def reasons(timeline: RequestTimeline, latency: Latency) -> list[str]:
    """One sentence for each of a request's times that is longer than usual, with what it was spent
    on; where none is, that it was no slower than others."""
    if timeline.state is RequestState.FAILED:
        after = _ms(timeline.e2e_us)
        failed = f"failed after {after}: {timeline.finish_reason or 'unknown'}"
        return [failed, *_slow_start(timeline, latency.ttft)]
    if any(each.kind is IntervalKind.CACHED for each in timeline.intervals):
        return [f"answered from the response cache in {_ms(timeline.e2e_us)}"]
    found = [*_slow_start(timeline, latency.ttft), *_slow_tokens(timeline, latency.tpot)]
    return found or _long(timeline, latency.e2e) or [_usual(timeline, latency)]


def _slow_start(timeline: RequestTimeline, usual: Percentiles | None) -> list[str]:
    """`TTFT 4.20 s, median 300 ms: 3.90 s of it in the queue behind 212 requests`."""
    first_us = timeline.first_token_us
    until_us = timeline.e2e_us if first_us is None else first_us
    if usual is None or not _is_slow(until_us / 1e3, usual):
        return []
    name = f"TTFT {_ms(until_us)}" if first_us is not None else f"no token after {_ms(until_us)}"
    return [f"{name}, median {_median(usual)}: {_spent(timeline, until_us)}"]


def _spent(timeline: RequestTimeline, until_us: int) -> str:
    """What most of the time before the first token went to."""
    ahead = timeline.waiting_ahead
    behind = "" if not ahead else f" behind {count(ahead)} request{'' if ahead == 1 else 's'}"
    chunks = sum(
        each.kind is IntervalKind.PREFILL and each.start_us < until_us
        for each in timeline.intervals
    )
    in_chunks = f" in {counted(chunks, 'chunk')}" if chunks > 1 else ""
    spans = {
        f"in the queue{behind}": timeline.length_us(IntervalKind.QUEUED, until_us=until_us),
        f"on {count(timeline.prompt_tokens)} prompt tokens{in_chunks}": timeline.length_us(
            IntervalKind.PREFILL, IntervalKind.DECODE, until_us=until_us
        ),
        "in the server's queue and prefill": timeline.length_us(
            IntervalKind.FIRST_TOKEN, until_us=until_us
        ),
        "before it was queued": timeline.length_us(IntervalKind.ARRIVING, until_us=until_us),
        "preempted": timeline.length_us(IntervalKind.PREEMPTED, until_us=until_us),
    }
    longest = sorted(spans.items(), key=lambda span: span[1], reverse=True)
    needed = 1 if longest[0][1] >= _HALF * until_us else 2
    first, *others = [f"{_ms(length_us)} of it {where}" for where, length_us in longest[:needed]]
    return ", ".join([first, *(other.replace(" of it", "", 1) for other in others)])


def _slow_tokens(timeline: RequestTimeline, usual: Percentiles | None) -> list[str]:
    """`TPOT 31 ms, median 8.9 ms: 1.20 s of it preempted and computed again`."""
    first_us, tokens = timeline.first_token_us, timeline.output_tokens
    if first_us is None or tokens is None or tokens < 2 or usual is None:
        return []
    decoding_us = timeline.e2e_us - first_us
    if not _is_slow(decoding_us / 1e3 / (tokens - 1), usual):
        return []
    excess_us = decoding_us - (usual.p50_ms or 0.0) * 1e3 * (tokens - 1)
    lost_us = decoding_us - timeline.length_us(IntervalKind.DECODE)
    gap_us = timeline.longest_gap_us or 0
    if lost_us >= _HALF * excess_us:
        times = sum(
            each.kind is IntervalKind.PREEMPTED and each.start_us >= first_us
            for each in timeline.intervals
        )
        often = f", {times} times" if times > 1 else ""
        cause = f"{_ms(lost_us)} of it preempted and computed again{often}"
    elif gap_us >= _HALF * excess_us and timeline.longest_gap_start_us is not None:
        begin = _ms(timeline.longest_gap_start_us)
        cause = f"one gap of {_ms(gap_us)}, {begin} after its arrival"
    else:
        cause = f"every step took longer, the longest {_ms(gap_us)}"
    tpot = milliseconds(decoding_us / 1e3 / (tokens - 1))
    return [f"TPOT {tpot}, median {_median(usual)}: {cause}"]


def _long(timeline: RequestTimeline, usual: Percentiles | None) -> list[str]:
    """Slow as a whole though no part of it was: there is more of it."""
    if usual is None or not _is_slow(timeline.e2e_us / 1e3, usual):
        return []
    tokens = f"{count(timeline.output_tokens)} output tokens at the usual pace"
    return [f"E2E {_ms(timeline.e2e_us)}, median {_median(usual)}: {tokens}"]


def _usual(timeline: RequestTimeline, latency: Latency) -> str:
    first_us = timeline.first_token_us
    if first_us is None:
        return f"no token yet after {_ms(timeline.e2e_us)}, median TTFT {_median(latency.ttft)}"
    if latency.ttft is None or latency.e2e is None:
        return "nothing to compare it with: no request has ended in the window"
    return (
        f"no slower than others: TTFT {_ms(first_us)}, median {_median(latency.ttft)}; "
        f"E2E {_ms(timeline.e2e_us)}, median {_median(latency.e2e)}"
    )


def _is_slow(value_ms: float, usual: Percentiles) -> bool:
    return usual.p50_ms is not None and value_ms > SLOW * usual.p50_ms


def _ms(length_us: float) -> str:
    return milliseconds(length_us / 1e3)


def _median(usual: Percentiles | None) -> str:
    return milliseconds(None if usual is None else usual.p50_ms)
