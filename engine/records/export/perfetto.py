"""Chrome's trace format, which ui.perfetto.dev opens: requests as spans, figures as counters.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU. Complete events of
one track must nest: requests that overlap are on tracks of their own.
"""

import json
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from ...text.cleaning import clean
from ..recording.reader import Recording
from .session import Ended, ended_requests, points

REQUESTS, FIGURES = 1, 2
"""Process ids of the trace."""
COUNTERS = ("decode_tok_s", "prefill_tok_s", "running", "in_system", "kv_used", "gpu", "power_w")
MICROS = 1e6

Event = dict[str, object]


def perfetto_lines(recording: Recording) -> Iterator[str]:
    """A JSON object, an event a line."""
    yield '{"displayTimeUnit": "ms", "traceEvents": ['
    yield _line(_named("process_name", REQUESTS, 0, "requests"))
    yield _line(_named("process_name", FIGURES, 0, "engine"))
    lanes = 0
    for lane, ended in in_lanes(list(ended_requests(recording))):
        while lanes <= lane:
            lanes += 1
            yield _line(_named("thread_name", REQUESTS, lanes, f"lane {lanes}"))
        for span in spans_of(ended, lane + 1):
            yield _line(span)
    for stored in recording.events(recording.first_tick, recording.last_tick + 1):
        since_s = stored.clock_s - recording.began_clock_s
        yield _line(
            {
                "ph": "i",
                "s": "g",
                "name": clean(stored.kind),
                "pid": FIGURES,
                "tid": 0,
                "ts": round(since_s * MICROS),
            }
        )
    for point in points(recording):
        for name in COUNTERS:
            value = point.columns.get(name)
            if value is not None:
                yield _line(
                    {
                        "ph": "C",
                        "name": name,
                        "pid": FIGURES,
                        "tid": 0,
                        "ts": round(point.since_s * MICROS),
                        "args": {name: value},
                    }
                )
    # The list may end with a comma nowhere.
    yield json.dumps(_named("process_labels", REQUESTS, 0, "prodtop"))
    yield "]}"


def in_lanes(requests: Sequence[Ended]) -> list[tuple[int, Ended]]:
    """Each request with a lane, so that those of one lane do not overlap: as few lanes as there
    ever were requests at once."""
    placed: list[tuple[int, Ended]] = []
    busy: list[tuple[int, int]] = []
    """When each taken lane is free again, and its number."""
    free: list[int] = []
    lanes = 0
    for ended in sorted(requests, key=lambda ended: ended.began_s):
        start_us, end_us = _ends_us(ended)
        while busy and busy[0][0] <= start_us:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane, lanes = lanes, lanes + 1
        heappush(busy, (max(end_us, start_us + 1), lane))
        placed.append((lane, ended))
    return placed


def spans_of(ended: Ended, track: int) -> list[Event]:
    """The request, and within it queue, prefill and decode, which add up to it where they are
    known. Times are whole microseconds."""
    request = ended.request
    start_us, end_us = _ends_us(ended)
    facts: Event = {
        "strategy": request.strategy,
        "precision": request.precision,
        "prompt_tokens": request.prompt_tokens,
        "cached_prompt_tokens": request.cached_prompt_tokens,
        "output_tokens": request.output_tokens,
        "end": ended.reason,
        "preemptions": request.preemptions,
        "from_response_cache": request.from_response_cache,
    }
    spans = [_span(f"request {request.request_id}", start_us, end_us, track, facts)]
    if request.queue_ms is not None and request.ttft_ms is not None:
        queued_us = min(start_us + round(request.queue_ms * 1e3), end_us)
        first_us = min(max(queued_us, start_us + round(request.ttft_ms * 1e3)), end_us)
        for name, begin, end in (
            ("queue", start_us, queued_us),
            ("prefill", queued_us, first_us),
            ("decode", first_us, end_us),
        ):
            spans.append(_span(name, begin, end, track))
    return spans


def _ends_us(ended: Ended) -> tuple[int, int]:
    start_us = round(ended.began_s * MICROS)
    return start_us, start_us + round(ended.request.e2e_ms * 1e3)


def _span(name: str, start_us: int, end_us: int, track: int, args: Event | None = None) -> Event:
    span: Event = {
        "ph": "X",
        "name": name,
        "pid": REQUESTS,
        "tid": track,
        "ts": start_us,
        "dur": end_us - start_us,
    }
    return span if args is None else {**span, "args": args}


def _named(kind: str, process: int, track: int, name: str) -> Event:
    key = "labels" if kind == "process_labels" else "name"
    return {"ph": "M", "name": kind, "pid": process, "tid": track, "args": {key: name}}


def _line(event: Event) -> str:
    return json.dumps(event) + ","
