"""The snapshot of what is shown: the moment, the curves beside it, the event log."""

from collections.abc import Sequence
from pathlib import Path

from ...engine.protocol import Frame
from ...engine.records.columns import COLUMNS
from ...engine.records.snapshot import Settings, Snapshot
from ...engine.records.tried import Tried
from ..style.formatting import short_path
from .moment import Moment
from .playhead import Timeline
from .quality import record


def snapshot_of(
    moment: Moment,
    frame: Frame,
    timeline: Timeline,
    versions: dict[str, str],
    theme: str,
    tried: Sequence[Tried],
) -> Snapshot:
    """The snapshot of a moment. Series are those of the stretch that the charts show; `tried` is
    everything since the start."""
    # Here and not above: it costs a tenth of the time to the first frame.
    from importlib import metadata

    start_s = timeline.end_s - timeline.span_s
    return Snapshot(
        saved_wall_s=moment.wall_s + moment.clock_shift_s,
        frame=frame,
        host=moment.host,
        settings=Settings(
            strategy=frame.strategy,
            precision=frame.precision,
            load=frame.load,
            window=moment.window,
            theme=theme,
        ),
        versions={"prodtop": metadata.version("prodtop"), **versions},
        series={name: _points(timeline, name, start_s) for name in COLUMNS},
        events=[entry.text for entry in moment.log],
        tried=list(tried),
        quality=record(moment.quality),
        comparison=moment.compare.comparison,
        load_curve=moment.load_curve.comparison,
    )


def saved_text(path: Path) -> str:
    """What was saved, and where: the names first, which a narrow line keeps."""
    return f"saved {path.name} (figures) and .svg (picture) in {short_path(path.parent)}"


def _points(timeline: Timeline, name: str, start_s: float) -> list[tuple[float, float]]:
    series = timeline.history.series(name, start_s, timeline.end_s)
    return [
        (time_s, value)
        for time_s, value in zip(series.times_s, series.values, strict=True)
        if start_s <= time_s <= timeline.end_s
    ]
