"""All figures of what passed the proxy at one moment, and how they are laid over a server's frame.

What is measured for each request from its client's side is finer than what a server's histograms
tell, and takes their place. Of what only a server knows of all its clients, the proxy fills in
what is missing.
"""

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from ...protocol import (
    Accounting,
    Attainment,
    Averages,
    Figure,
    Frame,
    Latency,
    LatencyCounts,
    Origin,
    Queue,
    TraceRecording,
    Window,
)
from .overlaying import LATENCIES, with_latencies, with_origins

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyFigures:
    """Rates are over the last second, the rest as in a frame's fields of these names."""

    latency: dict[Window, Latency]
    latency_counts: LatencyCounts
    attainment: dict[Window, Attainment]
    accounting: Accounting
    failures: dict[str, int]
    averages: dict[Window, Averages]
    queue: Queue
    output_tok_s: float
    requests_per_s: float
    arrivals_per_s: float
    tokens_per_piece: float | None
    generated_tokens: int
    oldest_unstarted_s: float | None
    recording: TraceRecording | None


def overlaid(frame: Frame, told: ProxyFigures, where: str) -> Frame:
    """The frame with what the proxy at `where` (its address) measured."""
    if not told.accounting.submitted:
        return msgspec.structs.replace(frame, recording=told.recording)
    measured = f"measured by the proxy on {where}"
    of = f"{measured}, {told.accounting.finished} requests"
    origins: dict[Figure, Origin] = {}
    latency = _latency(frame, told, of, origins)
    frame = _counts(frame, told, measured, origins)
    frame = msgspec.structs.replace(frame, latency=latency, recording=told.recording)
    return with_origins(frame, origins)


def _latency(
    frame: Frame, told: ProxyFigures, of: str, origins: dict[Figure, Origin]
) -> dict[Window, Latency]:
    """Each latency from one source over all windows: from the proxy where it has any sample of the
    last five minutes, so that two windows never tell of different requests."""
    measured = [name for name in LATENCIES if getattr(told.latency[Window.M5], name) is not None]
    # Those in a queue of the server it knows better than anyone outside.
    if any(each.queue is not None for each in frame.latency.values()):
        measured = [name for name in measured if name != "queue"]
    pieces = told.tokens_per_piece
    for name in measured:
        words = of
        if name == "itl":
            words += ": gaps between pieces of streams"
            words += "" if pieces is None else f", {pieces:.2g} tokens each"
        origins[LATENCIES[name]] = Origin(expression=words)
    return with_latencies(frame.latency, told.latency, measured)


def _counts(
    frame: Frame, told: ProxyFigures, measured: str, origins: dict[Figure, Origin]
) -> Frame:
    """What the server does not tell of its traffic, by what passed."""
    origin = Origin(expression=measured)
    throughput, queue = frame.throughput, frame.queue
    rates = {
        "decode_tok_s": (Figure.DECODE_TOK_S, told.output_tok_s),
        "requests_per_s": (Figure.REQUESTS_PER_S, told.requests_per_s),
        "arrivals_per_s": (Figure.ARRIVALS_PER_S, told.arrivals_per_s),
    }
    lacking = {name: rate for name, rate in rates.items() if getattr(throughput, name) is None}
    for figure, _ in lacking.values():
        origins[figure] = origin
    throughput = msgspec.structs.replace(
        throughput, **{name: rate for name, (_, rate) in lacking.items()}
    )
    averages = dict(frame.averages)
    for window, average in told.averages.items():
        have = averages.get(window, Averages(decode_tok_s=None, requests_per_s=None))
        averages[window] = msgspec.structs.replace(
            have,
            decode_tok_s=_either(have.decode_tok_s, average.decode_tok_s),
            requests_per_s=_either(have.requests_per_s, average.requests_per_s),
        )
    if queue.running is None:
        queue = told.queue
        origins[Figure.RUNNING] = Origin(expression=f"{measured}: all that have not ended")
    if queue.oldest_unstarted_s is None:
        queue = msgspec.structs.replace(queue, oldest_unstarted_s=told.oldest_unstarted_s)
    accounting = frame.accounting
    if accounting is None:
        accounting = told.accounting
        reasons = ", ".join(f"{number} {reason}" for reason, number in told.failures.items())
        origins[Figure.FINISHED] = origin
        failed = f"{measured}: {reasons}" if reasons else measured
        origins[Figure.FAILED] = Origin(expression=failed)
    return msgspec.structs.replace(
        frame,
        throughput=throughput,
        averages=averages,
        queue=queue,
        accounting=accounting,
        attainment=frame.attainment or told.attainment,
        latency_counts=told.latency_counts,
        generated_tokens_total=_either(frame.generated_tokens_total, told.generated_tokens),
    )


def _either(first: _Number | None, second: _Number | None) -> _Number | None:
    return second if first is None else first
