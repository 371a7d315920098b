"""What a screen needs to be drawn as it was, beside what a snapshot keeps for others.

A snapshot holds it as a tree of plain values. It may come from anywhere, and from an older prodtop:
where it does not fit, as much as is known is drawn without it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from ...engine.compare.sweep import SweepProgress
from ...engine.protocol import LATENCY_EDGES_MS, PrecisionName
from ...engine.records.columns import COLUMNS
from ...engine.records.snapshot import Snapshot
from .compare import Compare, Stage
from .condition import Health
from .health import judge
from .history import History, Mark
from .latency_history import METRICS, Cell
from .moment import LogLine, Moment, Pending, Phase, WorkerState
from .playhead import Timeline
from .quality import NO_QUALITY, Quality, Run
from .requests import NO_REQUESTS, Requests
from .server import Server
from .speeds import Conditions, Speed, Speeds

SERVING = WorkerState(Phase.SERVING)
LEAST_SPAN_S = 60.0
"""Of the charts of an older snapshot."""

KeptCell = tuple[float, dict[str, dict[int, int]]]
ViewState = dict[str, str]
"""How a tab is looked at: which of its views, what is maximised and the like."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the charts span, as `Timeline` has it; `None` is without end. `cells` are the latencies
    of requests that ended, a half second or more each: its begin, and counts by step and metric."""

    now_s: float
    end_s: float
    span_s: float | None
    window_s: float | None
    cursor_s: float | None = None
    times_s: tuple[float, ...] = ()
    marks: tuple[Mark, ...] = ()
    fine: tuple[KeptCell, ...] = ()
    coarse: tuple[KeptCell, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptQuality:
    """How far a measurement of quality had come; what it has measured is the snapshot's."""

    run: Run
    asked: tuple[PrecisionName, ...] = ()
    doing: str = ""
    fraction: float | None = None
    reason: str = ""
    came: tuple[PrecisionName, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptScreen:
    """The fields of `Moment` that a snapshot has not itself, the charts' stretch, and the tabs."""

    wall_s: float
    now_s: float
    stretch: Stretch
    worker: WorkerState = SERVING
    pending: Pending = field(default_factory=Pending)
    log: tuple[LogLine, ...] = ()
    answer: LogLine | None = None
    behind_s: float | None = None
    frame_age_s: float | None = 0.0
    host_age_s: float | None = 0.0
    joules_per_token: float | None = None
    clock_shift_s: float = 0.0
    requests: Requests = NO_REQUESTS
    gpu_lost_s: float | None = None
    dropped_share: float = 0.0
    health: Health | None = None
    quality: KeptQuality | None = None
    stage: Stage = Stage.NONE
    progress: SweepProgress | None = None
    stage_ended: str = ""
    speeds: tuple[tuple[Conditions, PrecisionName, Speed], ...] = ()
    server: Server | None = None
    tab: str = ""
    views: dict[str, ViewState] = field(default_factory=dict)
    """By tab."""


def kept_screen(
    moment: Moment, timeline: Timeline, tab: str, views: Mapping[str, ViewState]
) -> dict[str, object]:
    """The tree that a snapshot keeps of a screen."""
    quality = moment.quality
    kept = KeptScreen(
        wall_s=moment.wall_s,
        now_s=moment.now_s,
        stretch=_stretch(timeline),
        worker=moment.worker,
        pending=moment.pending,
        log=moment.log,
        answer=moment.answer,
        behind_s=moment.behind_s,
        frame_age_s=moment.frame_age_s,
        host_age_s=moment.host_age_s,
        joules_per_token=moment.joules_per_token,
        clock_shift_s=moment.clock_shift_s,
        requests=moment.requests,
        gpu_lost_s=moment.gpu_lost_s,
        dropped_share=moment.dropped_share,
        health=moment.health,
        quality=KeptQuality(
            run=quality.run,
            asked=quality.asked,
            doing=quality.doing,
            fraction=quality.fraction,
            reason=quality.reason,
            came=tuple(sorted(quality.came)),
        ),
        stage=moment.compare.stage,
        progress=moment.compare.progress,
        stage_ended=moment.compare.ended,
        speeds=tuple((*where, speed) for where, speed in moment.speeds.measured.items()),
        server=moment.server,
        tab=tab,
        views=dict(views),
    )
    tree = msgspec.to_builtins(kept, str_keys=True)
    assert isinstance(tree, dict)
    return tree


def _stretch(timeline: Timeline) -> Stretch:
    start_s, end_s = timeline.end_s - timeline.span_s, timeline.end_s
    history = timeline.history
    fine, coarse = history.distributions.tiers(start_s, end_s)
    return Stretch(
        now_s=timeline.now_s,
        end_s=end_s,
        span_s=_finite(timeline.span_s),
        window_s=_finite(timeline.window_s),
        cursor_s=timeline.cursor_s,
        times_s=tuple(history.series(COLUMNS[0], start_s, end_s).times_s),
        marks=tuple(history.marks(start_s, end_s)),
        fine=tuple((cell.start_s, dict(cell.counts)) for cell in fine),
        coarse=tuple((cell.start_s, dict(cell.counts)) for cell in coarse),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def screen_of(snapshot: Snapshot) -> KeptScreen:
    """What a snapshot has of its screen; of an older file, or one whose tree does not fit, what
    follows from the rest of it."""
    if snapshot.screen is not None:
        try:
            return msgspec.convert(snapshot.screen, KeptScreen, str_keys=True)
        except (msgspec.ValidationError, RecursionError):
            pass
    return _without_screen(snapshot)


def _without_screen(snapshot: Snapshot) -> KeptScreen:
    times_s = sorted({time_s for points in snapshot.series.values() for time_s, _ in points})
    wall_s = snapshot.saved_wall_s
    end_s = times_s[-1] if times_s else wall_s
    span_s = max(end_s - times_s[0], LEAST_SPAN_S) if times_s else LEAST_SPAN_S
    return KeptScreen(
        wall_s=wall_s,
        now_s=0.0,
        stretch=Stretch(now_s=end_s, end_s=end_s, span_s=span_s, window_s=span_s),
        log=tuple(LogLine(wall_s, text) for text in snapshot.events),
    )


def moment_of(snapshot: Snapshot, kept: KeptScreen) -> Moment:
    """The moment that was shown."""
    moment = Moment(
        wall_s=kept.wall_s,
        now_s=kept.now_s,
        frame=snapshot.frame,
        host=snapshot.host,
        worker=kept.worker,
        window=snapshot.settings.window,
        pending=kept.pending,
        log=kept.log,
        answer=kept.answer,
        behind_s=kept.behind_s,
        frame_age_s=kept.frame_age_s,
        host_age_s=kept.host_age_s,
        joules_per_token=kept.joules_per_token,
        clock_shift_s=kept.clock_shift_s,
        requests=kept.requests,
        gpu_lost_s=kept.gpu_lost_s,
        dropped_share=kept.dropped_share,
        compare=Compare(
            stage=kept.stage,
            comparison=snapshot.comparison,
            progress=kept.progress,
            ended=kept.stage_ended,
            live=tuple(snapshot.tried),
        ),
        quality=_quality(snapshot, kept.quality),
        speeds=Speeds({(where, name): speed for where, name, speed in kept.speeds}),
        server=kept.server,
    )
    return replace(moment, health=kept.health or judge(moment))


def history_of(snapshot: Snapshot, stretch: Stretch) -> History:
    """What charts draw, of the stretch that was kept. A column without a point at some time was not
    measured then."""
    times = {*stretch.times_s, *(at for points in snapshot.series.values() for at, _ in points)}
    times_s = sorted(time_s for time_s in times if math.isfinite(time_s))
    columns = {name: dict(snapshot.series.get(name, ())) for name in COLUMNS}
    history = History()
    history.recall_columns(
        times_s, {name: [known.get(at) for at in times_s] for name, known in columns.items()}
    )
    for mark in stretch.marks:
        history.mark(mark)
    history.distributions.recall(_cells(stretch.fine), _cells(stretch.coarse))
    return history


def _cells(kept: Sequence[KeptCell]) -> list[Cell]:
    steps = range(len(LATENCY_EDGES_MS) + 1)
    return [
        Cell(
            start_s,
            {
                name: {at: n for at, n in counts.get(name, {}).items() if at in steps}
                for name in METRICS
            },
        )
        for start_s, counts in sorted(kept, key=lambda cell: cell[0])
    ]


def _quality(snapshot: Snapshot, kept: KeptQuality | None) -> Quality:
    measured = snapshot.quality
    if measured is None and kept is None:
        return NO_QUALITY
    frame, run = snapshot.frame, kept or KeptQuality(run=Run.DONE)
    return Quality(
        run=run.run,
        model=frame.model.name if measured is None else measured.model,
        device=frame.device_name if measured is None else measured.device,
        asked=run.asked,
        doing=run.doing,
        fraction=run.fraction,
        reason=run.reason,
        levels=() if measured is None else tuple(measured.levels),
        errors=() if measured is None else tuple(measured.errors),
        skipped=() if measured is None else tuple(measured.skipped),
        came=frozenset(run.came),
    )
