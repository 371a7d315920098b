"""The snapshot of what is shown: the moment, the curves beside it, the event log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...engine.protocol import Frame
from ...engine.protocol.errors import ProdtopError
from ...engine.records.columns import COLUMNS
from ...engine.records.snapshot import PlanRecord, Settings, Snapshot, save_snapshot
from ...engine.records.tried import Tried
from ..style.formatting import short_path
from .kept_screen import ViewState, kept_screen
from .moment import Moment
from .monitor import Monitor
from .playhead import Timeline
from .quality import record


@dataclass(frozen=True, slots=True)
class Seen:
    """What the app knows beside the moment: its theme and its tabs. `views` say how each tab that
    was opened is looked at; `plan` is what the Planner tab shows."""

    theme: str
    tab: str
    views: Mapping[str, ViewState]
    plan: PlanRecord | None = None


def snapshot_of(
    moment: Moment,
    frame: Frame,
    timeline: Timeline,
    versions: dict[str, str],
    seen: Seen,
    tried: Sequence[Tried],
) -> Snapshot:
    """The snapshot of a moment. Series are those of the stretch that the charts show; `tried` is
    everything since the start."""
    # Here and not above: it costs a tenth of the time to the first frame.
    from importlib import metadata

    return Snapshot(
        saved_wall_s=moment.wall_s + moment.clock_shift_s,
        frame=frame,
        host=moment.host,
        settings=Settings(
            strategy=frame.strategy,
            precision=frame.precision,
            load=frame.load,
            window=moment.window,
            theme=seen.theme,
        ),
        versions={"prodtop": metadata.version("prodtop"), **versions},
        series={name: _points(timeline, name) for name in COLUMNS},
        events=[entry.text for entry in moment.log],
        tried=list(tried),
        quality=record(moment.quality),
        comparison=moment.compare.comparison,
        load_curve=moment.load_curve.comparison,
        plan=seen.plan,
        screen=kept_screen(moment, timeline, seen.tab, seen.views),
    )


def save_seen(monitor: Monitor, seen: Seen, picture: str, folder: Path | None) -> Path | None:
    """Save what `monitor` shows, and say where, or why not; returns the file."""
    moment = monitor.moment()
    if moment.frame is None:
        monitor.say("nothing to save yet: the engine has shown no figures")
        return None
    tried, timeline = monitor.tried.records, monitor.timeline()
    kept = snapshot_of(moment, moment.frame, timeline, monitor.versions, seen, tried)
    try:
        path = save_snapshot(kept, picture, folder)
    except ProdtopError as error:
        monitor.say(str(error), fault=True)
        return None
    monitor.say(saved_text(path))
    monitor.on_snapshot(path, moment.frame)
    return path


def saved_text(path: Path) -> str:
    """What was saved, and where: the names first, which a narrow line keeps."""
    return f"saved {path.name} (figures) and .svg (picture) in {short_path(path.parent)}"


def _points(timeline: Timeline, name: str) -> list[tuple[float, float]]:
    start_s = timeline.end_s - timeline.span_s
    series = timeline.history.series(name, start_s, timeline.end_s)
    return list(zip(series.times_s, series.values, strict=True))
