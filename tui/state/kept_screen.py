"""What a screen needs to be drawn as it was, beside what a snapshot keeps for others.

A snapshot holds it as a tree of plain values. It may come from anywhere, and from an older prodtop:
where it does not fit, as much as is known is drawn without it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import msgspec

from ...engine.compare.sweep import SweepProgress
from ...engine.protocol import LATENCY_EDGES_MS, PrecisionName
from ...engine.records.columns import COLUMNS
from ...engine.records.snapshot import Snapshot
from .compare import Compare
from .health import judge
from .history import History, Mark
from .latency_history import METRICS, Cell
from .moment import Moment, Phase
from .playhead import Timeline
from .quality import NO_QUALITY, Quality
from .speeds import Conditions, Speed, Speeds
from .stage import Stage

_KEPT_ELSEWHERE = {"frame", "host", "window", "compare", "quality", "speeds"}
_NOT_KEPT = {"load_curve", "billing", "production", "fleet", "mark"}
MOMENT_FIELDS = tuple(
    each.name for each in fields(Moment) if each.name not in _KEPT_ELSEWHERE | _NOT_KEPT
)
"""What the tree has of a moment under the names of its own fields."""
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

    run: Stage
    asked: tuple[PrecisionName, ...] = ()
    doing: str = ""
    fraction: float | None = None
    reason: str = ""
    came: tuple[PrecisionName, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptBeside:
    """What is kept beside the moment's own fields: the charts' stretch, the tabs, and of quality,
    sweeps and speeds what the rest of the snapshot has not."""

    stretch: Stretch
    quality: KeptQuality | None = None
    stage: Stage = Stage.NONE
    progress: SweepProgress | None = None
    stage_ended: str = ""
    speeds: tuple[tuple[Conditions, PrecisionName, Speed], ...] = ()
    tab: str = ""
    views: dict[str, ViewState] = field(default_factory=dict)
    """By tab."""


@dataclass(frozen=True, slots=True)
class KeptScreen:
    """What a snapshot's screen showed: the moment, and how the tabs were looked at."""

    moment: Moment
    stretch: Stretch
    tab: str
    views: Mapping[str, ViewState]


def kept_screen(
    moment: Moment, timeline: Timeline, tab: str, views: Mapping[str, ViewState]
) -> dict[str, object]:
    """The tree that a snapshot keeps of a screen."""
    quality = moment.quality
    beside = KeptBeside(
        stretch=_stretch(timeline),
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
        tab=tab,
        views=dict(views),
    )
    own = {name: getattr(moment, name) for name in MOMENT_FIELDS}
    tree = msgspec.to_builtins(own, str_keys=True) | msgspec.to_builtins(beside, str_keys=True)
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
            return _screen(snapshot, snapshot.screen)
        except (msgspec.ValidationError, RecursionError):
            pass
    return _screen(snapshot, _without_screen(snapshot))


def _without_screen(snapshot: Snapshot) -> dict[str, object]:
    times_s = sorted({time_s for points in snapshot.series.values() for time_s, _ in points})
    wall_s = snapshot.saved_wall_s
    end_s = times_s[-1] if times_s else wall_s
    span_s = max(end_s - times_s[0], LEAST_SPAN_S) if times_s else LEAST_SPAN_S
    return {
        "wall_s": wall_s,
        "now_s": 0.0,
        "worker": {"phase": Phase.SERVING.value},
        "frame_age_s": 0.0,
        "host_age_s": 0.0,
        "log": [{"wall_s": wall_s, "text": text} for text in snapshot.events],
        "stretch": {"now_s": end_s, "end_s": end_s, "span_s": span_s, "window_s": span_s},
    }


def _screen(snapshot: Snapshot, tree: Mapping[str, object]) -> KeptScreen:
    """Raises `msgspec.ValidationError` where the tree does not fit."""
    beside = msgspec.convert(tree, KeptBeside, str_keys=True)
    own = {name: tree[name] for name in MOMENT_FIELDS if tree.get(name) is not None}
    moment = replace(
        msgspec.convert(own, Moment, str_keys=True),
        frame=snapshot.frame,
        host=snapshot.host,
        window=snapshot.settings.window,
        compare=Compare(
            stage=beside.stage,
            comparison=snapshot.comparison,
            progress=beside.progress,
            ended=beside.stage_ended,
            live=tuple(snapshot.tried),
        ),
        quality=_quality(snapshot, beside.quality),
        speeds=Speeds({(where, name): speed for where, name, speed in beside.speeds}),
    )
    if "health" not in own:
        moment = replace(moment, health=judge(moment))
    return KeptScreen(moment, beside.stretch, beside.tab, beside.views)


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
    frame, run = snapshot.frame, kept or KeptQuality(run=Stage.DONE)
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
