"""How the engine does, in one word with its reason: a pure function of the moment.

The conditions are looked for in the order of `Word`: what makes the figures worthless first (a
frozen display, a lost GPU, no engine, silence), then what is wrong with them, the worst first, then
idle and well. Each says its reason in the figures of the moment, with the span where it is not now.

So that the line does not flicker, what is judged is the mean or the count of the last ten seconds,
and a condition that stands is left at a lower level than it was entered at: at `_LEAVE` of it.
"""

from collections.abc import Callable, Mapping

from ...engine.metrics.relief import kv_used
from ...engine.protocol import (
    SLO_NAMES,
    AdmissionCounts,
    Attainment,
    Bound,
    Frame,
    Latency,
    Percentiles,
    PreemptionCause,
    Queue,
    Refusal,
    Window,
)
from ..style.formatting import MISSING, duration, milliseconds, percent, si, span
from ..style.inks import Ink
from ..style.quantiles import quantile_text
from .condition import UNKNOWN, Health, Word
from .moment import Moment, Phase, WorkerState, restart_text, retry_text
from .server import is_down

_LEAVE = 0.5
"""A condition ends below this part of the level that it began at."""

_LEAVE_SLOW = 0.9

_ATTAINED = 0.95
"""Of the requests: a p95 at its limit has so many within it."""

_ATTAINED_AGAIN = 0.97

_OFTEN = 0.5
"""KV blocks keep requests out of so many of the steps: the cache is full."""

_DROPPED = 0.2
"""Of the frames: from here on the screen lags."""

_TWICE = 2.0
"""A latency so many times its limit is bad, and not only a warning."""

_COMPILING_MOST_S = 600.0
"""A switch that takes longer no longer explains the silence."""

_NEARLY_FULL = 0.98
"""Of an attached server's KV cache, while requests wait: what keeps them out is not told."""

_STEADY = 0.05
"""Per second: less is no growth. Within a tenth two latencies are the same."""


def judge(moment: Moment, standing: Word | None = None) -> Health:
    """The health of a moment, where `standing` is the condition that stood until now."""
    found = (check(moment, word is standing) for word, check in _CHECKS.items())
    return next((health for health in found if health is not None), UNKNOWN)


def _paused(moment: Moment, standing: bool) -> Health | None:
    if moment.behind_s is None:
        return None
    then = judge(_as_it_was(moment)).word
    return Health(Word.PAUSED, (f"{duration(moment.behind_s)} ago", f"{then} then"))


def _as_it_was(moment: Moment) -> Moment:
    """A past moment as it looked when it was now: the engine served, or there was no frame."""
    served = WorkerState(Phase.SERVING)
    return Moment(moment.wall_s, moment.now_s, frame=moment.frame, worker=served)


def _gpu_lost(moment: Moment, standing: bool) -> Health | None:
    if moment.gpu_lost_s is None:
        return None
    note = moment.host.gpu_note if moment.host else None
    return Health(
        Word.GPU_LOST, (f"for {moment.gpu_lost_s:.0f} s", note or "not listed any more"), Ink.BAD
    )


def _engine_down(moment: Moment, standing: bool) -> Health | None:
    worker = moment.worker
    if worker.phase is not Phase.DEAD:
        return None
    if worker.restart_at_s is None:
        return Health(Word.ENGINE_DOWN, (worker.hint or "for good", worker.reason), Ink.BAD)
    wait = retry_text(worker, moment.now_s)
    if worker.watched:
        return Health(Word.SERVER_DOWN, (worker.reason, wait), Ink.BAD)
    return Health(Word.ENGINE_DOWN, (wait, worker.reason), Ink.BAD)


def _server_down(moment: Moment, standing: bool) -> Health | None:
    server = moment.server
    if server is None or not is_down(server):
        return None
    if server.restart_at_s is None:
        return Health(Word.SERVER_DOWN, (server.reason, "for good"), Ink.BAD)
    wait = restart_text(server.restart_at_s - moment.now_s)
    return Health(Word.SERVER_DOWN, (wait, server.reason), Ink.BAD)


def _loading(moment: Moment, standing: bool) -> Health | None:
    worker = moment.worker
    if worker.phase is Phase.STARTING:
        fraction = "" if worker.fraction is None else f" {percent(worker.fraction)}"
        return Health(Word.LOADING, (f"{worker.doing}{fraction}",))
    return Health(Word.LOADING, ("the first figures",)) if moment.frame is None else None


def _measuring(moment: Moment, standing: bool) -> Health | None:
    compare = moment.compare if moment.compare.running else moment.load_curve
    if not compare.running:
        return None
    progress = compare.progress
    cells = "cells" if progress is None else f"{progress.done_cells} of {progress.cells} cells"
    left_s = None if progress is None else progress.left_s
    left = () if left_s is None else (f"{span(left_s)} left",)
    return Health(Word.MEASURING, (cells, *left, "the live load is set aside"))


def _compiling(moment: Moment, standing: bool) -> Health | None:
    frame, age_s = moment.frame, moment.frame_age_s or 0.0
    if frame is None or age_s > _COMPILING_MOST_S:
        return None
    if frame.switching is not None:
        return Health(Word.COMPILING, (f"for {age_s:.0f} s", frame.switching))
    if frame.preparing is not None and moment.stale_s is None:
        return Health(Word.COMPILING, (frame.preparing, "served without meanwhile"))
    verdict = frame.roofline.verdict
    if verdict is None or verdict.bound is not Bound.COMPILING or moment.stale_s is not None:
        return None
    return Health(Word.COMPILING, (f"{percent(verdict.share)} of the last second",))


def _stalled(moment: Moment, standing: bool) -> Health | None:
    frame, silent_s = moment.frame, moment.stale_s
    if frame is None:
        return None
    in_flight = f"{_grouped(frame.queue.running)} running"
    if silent_s is not None:
        if not (frame.queue.running or 0) + (frame.queue.waiting or 0):
            return None
        waiting = f"{_grouped(frame.queue.waiting)} waiting"
        return Health(Word.STALLED, (f"silent for {silent_s:.0f} s", in_flight, waiting), Ink.BAD)
    counts, in_system = frame.admission.get(Window.S10), frame.queue.mean_in_system or 0.0
    if counts is None or counts.steps or not frame.queue.running:
        return None
    # The counts are some tenths of a second old: the first request after a rest is no stall.
    if frame.throughput.steps_per_s or in_system < 1.0:
        return None
    return Health(Word.STALLED, ("no step (10s)", in_flight), Ink.BAD)


def _stale(moment: Moment, standing: bool) -> Health | None:
    if moment.stale_s is None:
        return None
    return Health(Word.STALE, (f"silent for {moment.stale_s:.0f} s",), Ink.BAD)


def _failing(moment: Moment, standing: bool) -> Health | None:
    found = _attainment(moment)
    if not found.failed:
        return None
    of = f"{_grouped(found.failed)} of {_grouped(found.ended)} failed (10s)"
    return Health(Word.FAILING, (of, f"{si(found.failed / 10)}/s"), Ink.BAD)


def _kv_full(moment: Moment, standing: bool) -> Health | None:
    frame = moment.frame
    if frame is None:
        return None
    counts = frame.admission.get(Window.S10, AdmissionCounts())
    preempted = counts.preempted.get(PreemptionCause.KV_BLOCKS, 0)
    often = _OFTEN * (_LEAVE if standing else 1.0)
    full = frame.attached is not None and _is_nearly_full(frame)
    if not preempted and not full and counts.refused_share(Refusal.KV_BLOCKS) < often:
        return None
    held = f"{percent(kv_used(frame))} held"
    gone = (f"{_grouped(preempted)} preempted (10s)",) if preempted else ()
    waiting = f"{_grouped(frame.queue.waiting)} waiting, {_growth(frame.queue)}"
    return Health(Word.KV_FULL, (held, waiting, *gone), Ink.BAD if preempted else Ink.WARN)


def _is_nearly_full(frame: Frame) -> bool:
    return (kv_used(frame) or 0.0) >= _NEARLY_FULL and bool(frame.queue.waiting)


def _overloaded(moment: Moment, standing: bool) -> Health | None:
    frame = moment.frame
    if frame is None:
        return None
    queue = frame.queue
    batch = frame.max_seqs if queue.running_limit is None else queue.running_limit
    if batch is None:
        # An attached server seldom tells its cap: as many as run now are at least taken.
        batch = queue.running
    waiting = queue.waiting if queue.mean_waiting is None else queue.mean_waiting
    if batch is None or not waiting or waiting <= batch * (_LEAVE if standing else 1.0):
        return None
    limit_ms, oldest_ms = frame.slo.ttft_ms, _oldest_ms(queue)
    late = limit_ms is not None and oldest_ms is not None and oldest_ms > limit_ms
    age = () if oldest_ms is None else (f"TTFT ≥ {milliseconds(oldest_ms)}",)
    grows = (queue.waiting_per_s or 0.0) > _STEADY
    return Health(
        Word.OVERLOADED,
        (f"{_grouped(queue.waiting)} waiting, {_growth(queue)}", *age),
        Ink.BAD if late or grows else Ink.WARN,
    )


def _slow(moment: Moment, standing: bool) -> Health | None:
    """The latency that is over its limit by most, ended requests and the oldest that waits."""
    frame = moment.frame
    if frame is None:
        return None
    worst: tuple[float, str] | None = None
    for name in SLO_NAMES:
        limit_ms = frame.slo.limit_ms(name)
        found = None if limit_ms is None else _over(frame, name, limit_ms, standing)
        if found is not None and (worst is None or found[0] > worst[0]):
            worst = found
    if worst is None:
        return None
    within = _attainment(moment).within_all
    share = () if within is None else (f"{percent(within)} within limits (10s)",)
    return Health(Word.SLOW, (worst[1], *share), Ink.BAD if worst[0] >= _TWICE else Ink.WARN)


def _over(frame: Frame, name: str, limit_ms: float, standing: bool) -> tuple[float, str] | None:
    """How many times its limit a latency is, in words; `None` within it.

    Where the p95 is within it, requests in flight may still have missed it.
    """
    found = _p95_text(frame, name)
    if found is not None and found[0] > limit_ms * (_LEAVE_SLOW if standing else 1.0):
        return found[0] / limit_ms, f"{name.upper()} {found[1]}, limit {milliseconds(limit_ms)}"
    share = frame.attainment.get(Window.S10, Attainment()).within.get(name)
    if share is None or share >= (_ATTAINED_AGAIN if standing else _ATTAINED):
        return None
    return 1.0, f"{name.upper()} in limit {percent(share)} (10s)"


def _p95_text(frame: Frame, name: str) -> tuple[float, str] | None:
    """The p95 of the last ten seconds, with its direction; at least the age of who still waits."""
    recent = _percentiles(frame, Window.S10, name)
    oldest_ms = _oldest_ms(frame.queue) if name == "ttft" else None
    p95_ms = None if recent is None else recent.p95_ms
    if oldest_ms is not None and (p95_ms is None or oldest_ms > p95_ms):
        return oldest_ms, f"≥ {milliseconds(oldest_ms)}"
    if p95_ms is None:
        return None
    before = _percentiles(frame, Window.M1, name)
    ratio = p95_ms / before.p95_ms if before and before.p95_ms else 1.0
    arrow = " ↑" if ratio > 1.0 + 2 * _STEADY else " ↓" if ratio < 1.0 - 2 * _STEADY else ""
    return p95_ms, f"p95 {quantile_text(recent, p95_ms)}{arrow} (10s)"


def _lagging(moment: Moment, standing: bool) -> Health | None:
    if moment.dropped_share <= _DROPPED * (_LEAVE if standing else 1.0):
        return None
    dropped = f"{percent(moment.dropped_share)} of frames dropped (10s)"
    return Health(Word.LAGGING, (dropped, "this screen is slow"))


def _idle(moment: Moment, standing: bool) -> Health | None:
    frame = moment.frame
    if frame is None or frame.queue.running or frame.queue.waiting:
        return None
    if frame.queue.running is None:
        return None
    # Between two requests of a light load it is not idle: nobody came for ten seconds.
    if frame.queue.mean_in_system:
        return None
    paused = ("the load is paused",) if frame.load is not None and frame.load.paused else ()
    return Health(Word.IDLE, ("no request (10s)", *paused, _up(frame)), Ink.MUTED)


def _ok(moment: Moment, standing: bool) -> Health | None:
    frame = moment.frame
    if frame is None:
        return None
    within = _attainment(moment).within_all
    share = () if within is None else (f"{percent(within)} within limits (10s)",)
    waiting = f"{_grouped(frame.queue.waiting)} waiting, {_growth(frame.queue)}"
    if frame.queue.waiting is None:
        waiting = "its queue is not told"
    return Health(Word.OK, (*share, _up(frame), waiting), Ink.OK)


def _up(frame: Frame) -> str:
    return f"up {duration(frame.uptime_s)}"


def _attainment(moment: Moment) -> Attainment:
    frame = moment.frame
    return Attainment() if frame is None else frame.attainment.get(Window.S10, Attainment())


def _percentiles(frame: Frame, window: Window, name: str) -> Percentiles | None:
    found: Percentiles | None = getattr(frame.latency.get(window, Latency()), name)
    return found


def _oldest_ms(queue: Queue) -> float | None:
    return None if queue.oldest_unstarted_s is None else queue.oldest_unstarted_s * 1e3


def _growth(queue: Queue) -> str:
    """`+48/s`, `-1.2/s`, `±0/s`; missing before a trend is known."""
    growth = queue.waiting_per_s
    if growth is None:
        return "--/s"
    if abs(growth) < _STEADY:
        return "±0/s"
    sign = "+" if growth > 0 else "−"
    size = abs(growth)
    return f"{sign}{size:.1f}/s" if size < 9.95 else f"{sign}{_grouped(round(size))}/s"


def _grouped(number: int | None) -> str:
    """A count with its thousands apart."""
    if number is None:
        return MISSING
    return f"{number:,}" if abs(number) < 100_000 else si(number)


_CHECKS: Mapping[Word, Callable[[Moment, bool], Health | None]] = {
    Word.PAUSED: _paused,
    Word.GPU_LOST: _gpu_lost,
    Word.ENGINE_DOWN: _engine_down,
    Word.SERVER_DOWN: _server_down,
    Word.LOADING: _loading,
    Word.MEASURING: _measuring,
    Word.COMPILING: _compiling,
    Word.STALLED: _stalled,
    Word.STALE: _stale,
    Word.FAILING: _failing,
    Word.KV_FULL: _kv_full,
    Word.OVERLOADED: _overloaded,
    Word.SLOW: _slow,
    Word.LAGGING: _lagging,
    Word.IDLE: _idle,
    Word.OK: _ok,
}
