"""Makes the frame of an attached server."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ...metrics.steadiness import unsteady
from ...protocol import (
    TREND_SPAN_S,
    WINDOW_SECONDS,
    Accounting,
    Attached,
    Figure,
    Frame,
    ModelInfo,
    Queue,
    Window,
)
from ..mapping.source import Flow, known
from .frame_parts import cache, latencies, memory, roofline, speculation
from .frame_rates import Ceilings, Windows, averages, throughput, usage
from .further import further_figures
from .gauges import Told, whole
from .json_answers import Answer, joined_names
from .kept_scrapes import Between
from .origins import Origins
from .session import Session, ranks

NAMELESS: Final = "unknown model"
_GPU: Final = "engines do not tell their GPU: NVML beside them does, or a DCGM exporter (--dcgm)"
_REFUSED: Final = {401: "its metrics need a token", 403: "its metrics are forbidden"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is known of the server itself. `metrics_status`: what it answered instead of metrics."""

    url: str
    name: str
    sequence: int
    began_s: float
    scraped_per_s: float | None
    scrape_ms: float | None
    answers: tuple[Answer, ...]
    metrics_status: int | None
    ceilings: Ceilings | None


def make_frame(server: Server, session: Session, now_s: float, wall_s: float) -> Frame:
    """All that a session tells, at `now_s`."""
    figures, table = session.figures, session.table
    origins = Origins(figures, now_s)
    kept = figures.kept
    rates, s10 = kept.over(figures.rate_span_s), kept.over(WINDOW_SECONDS[Window.S10])
    windows: dict[Window, Between | None] = {
        window: kept.over(max(span_s, figures.rate_span_s))
        for window, span_s in WINDOW_SECONDS.items()
    }
    windows[Window.SWITCH] = windows[Window.SESSION]
    most = _size(figures.level(table.max_seqs))
    max_seqs = origins.value(Figure.MAX_SEQS, most, table.max_seqs)
    queue = _queue(session, origins, windows, s10, max_seqs)
    rates_now = throughput(figures, origins, rates, s10)
    latency = latencies(figures, origins, windows)
    blocks = cache(figures, origins, windows)
    accounting = _accounting(session, origins, windows[Window.SESSION], queue)
    drafts = speculation(figures, origins, s10)
    held = memory(figures, origins)
    used = roofline(figures, origins, rates, server.ceilings)
    counters = [source for source in table.decode if isinstance(source, Flow)]
    decoded = figures.increase(counters, windows[Window.SESSION])
    model = _model(server, session, origins, now_s)
    origins.missing(Figure.GPU, _GPU)
    _explain_refusal(server, origins)
    return Frame(
        sequence=server.sequence,
        at_s=now_s,
        wall_s=wall_s,
        uptime_s=_uptime_s(server, session, now_s, wall_s),
        model=model,
        attached=Attached(
            kind=table.kind,
            url=server.url,
            name=server.name,
            version=_version(server, session),
            ranks=ranks(session.gauges, table),
            scraped_per_s=server.scraped_per_s,
            scrape_ms=server.scrape_ms,
            origins=origins.found,
            further=further_figures(figures, rates, windows, now_s),
        ),
        device="",
        device_name="",
        strategy=None,
        precision=None,
        precisions=[],
        load=None,
        throughput=rates_now,
        latency=latency,
        cache=blocks,
        queue=queue,
        accounting=accounting,
        memory=held,
        roofline=used,
        max_seqs=None if max_seqs is None else whole(max_seqs),
        latency_counts=session.latency_counts(),
        generated_tokens_total=None if decoded is None else whole(decoded.value),
        speculation=drafts,
        averages=averages(figures, windows, server.ceilings),
        usage=usage(figures, windows, server.ceilings),
    )


def _queue(
    session: Session,
    origins: Origins,
    windows: Windows,
    s10: Between | None,
    max_seqs: float | None,
) -> Queue:
    figures, table = session.figures, session.table
    running = origins.read(Figure.RUNNING, table.running, figures.level)
    waiting = origins.read(Figure.WAITING, table.waiting, figures.level)
    counted = figures.increase(table.preemptions, windows[Window.SESSION])
    preemptions = origins.value(Figure.PREEMPTIONS, counted, table.preemptions)
    in_system = None if running is None or waiting is None else session.in_system.mean
    residence = _residence(session, s10)
    return Queue(
        running=None if running is None else whole(running),
        waiting=None if waiting is None else whole(waiting),
        mean_in_system=in_system,
        arrival_rate_times_residence=residence,
        unsteady=unsteady(in_system, residence),
        preemptions=None if preemptions is None else whole(preemptions),
        running_limit=None if max_seqs is None else whole(max_seqs),
        mean_waiting=None if waiting is None else session.waiting.mean,
        waiting_per_s=None if waiting is None else session.waiting.per_s(),
    )


def _residence(session: Session, s10: Between | None) -> float | None:
    """λ·W over `TREND_SPAN_S`: the sum of the residence of the requests that ended, per second."""
    figures = session.figures
    source = figures.first_times(session.table.e2e)
    if source is None or s10 is None or s10.span_s > 2 * TREND_SPAN_S:
        return None
    latency = figures.times((source,), s10)
    if latency is None or latency.mean_ms is None:
        return None
    return latency.mean_ms / 1e3 * latency.count / s10.span_s


def _accounting(
    session: Session, origins: Origins, attached: Between | None, queue: Queue
) -> Accounting | None:
    """Since the server was attached."""
    figures, table = session.figures, session.table
    finished = figures.increase(table.finished, attached)
    failed = figures.increase(table.failed, attached)
    rejected = figures.increase(table.rejected, attached)
    if finished is None or failed is None or queue.running is None or queue.waiting is None:
        for figure, told, sources in (
            (Figure.FINISHED, finished, table.finished),
            (Figure.FAILED, failed, table.failed),
        ):
            if told is None:
                origins.found[figure] = figures.missing(figure, sources)
            else:
                origins.missing(figure, "needs all that became of requests")
        return None
    origins.told(Figure.FINISHED, finished.expression, finished.at_s)
    origins.told(Figure.FAILED, failed.expression, failed.at_s)
    in_system = queue.running + queue.waiting
    ended, lost = whole(finished.value), whole(failed.value)
    return Accounting(
        submitted=ended + lost + in_system,
        finished=ended,
        failed=lost,
        in_system=in_system,
        rejected=0 if rejected is None else whole(rejected.value),
    )


def _model(server: Server, session: Session, origins: Origins, now_s: float) -> ModelInfo:
    """The model by its name in labels, or as JSON answers have it; both are cleaned."""
    labelled = session.model_names
    answered = [answer.model for answer in server.answers if answer.model is not None]
    context = _size(session.figures.level(session.table.context_tokens))
    contexts = [a.context_tokens for a in server.answers if a.context_tokens is not None]
    told_s = session.last_at_s or server.began_s
    if labelled or answered:
        words = "model label" if labelled else "its JSON answers"
        origins.told(Figure.MODEL, words, min(now_s, told_s))
    else:
        origins.missing(Figure.MODEL, "the server does not name it")
    name = joined_names(labelled) if labelled else next(iter(answered), NAMELESS)
    return ModelInfo(
        name=name[:256],
        parameters=_first(answer.parameters for answer in server.answers),
        layers=None,
        context_tokens=whole(context.value) if context is not None else next(iter(contexts), None),
        vocabulary=_first(answer.vocabulary for answer in server.answers),
    )


def _size(told: Told | None) -> Told | None:
    """A size; where it is 0 the server does not know it, as Dynamo's frontend says of a context."""
    return told if told is not None and told.value >= 1 else None


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _version(server: Server, session: Session) -> str | None:
    for metric, label in session.table.version:
        found = session.gauges.label(known(metric), label)
        if found is not None:
            return found[:256]
    return next((a.version for a in server.answers if a.version is not None), None)


def _uptime_s(server: Server, session: Session, now_s: float, wall_s: float) -> float:
    """Since its process began, by its own word where that is no shorter than what was seen of it;
    since it was attached otherwise, as its clock may be wrong."""
    seen_s = max(0.0, now_s - server.began_s)
    started = session.started_wall_s
    if started is None or not math.isfinite(started) or started <= 0:
        return seen_s
    told_s = wall_s - started
    return max(0.0, told_s) if session.restarts else max(told_s, seen_s)


def _explain_refusal(server: Server, origins: Origins) -> None:
    """Where the metrics are refused, say so instead of what each figure would need."""
    reason = _REFUSED.get(server.metrics_status or 0)
    if reason is not None:
        for figure, origin in origins.found.items():
            if origin.missing is not None and figure is not Figure.GPU:
                origins.missing(figure, reason)
