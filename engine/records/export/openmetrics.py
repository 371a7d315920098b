"""OpenMetrics text with timestamps, which `promtool tsdb create-blocks-from openmetrics` reads into
Prometheus. https://github.com/prometheus/OpenMetrics, version 1.0."""

from array import array
from collections.abc import Iterator

from ..columns import COLUMNS, COUNTERS
from ..recording.reader import Recording
from .session import points

STEP_S = 1.0
"""A sample of each column so often at most: what Prometheus keeps is coarser."""


def openmetrics_lines(recording: Recording) -> Iterator[str]:
    """Each column as a metric `prodtop_<column>`, with samples in order of time. Counters are
    those of the engine; where it was restarted they begin anew, as Prometheus expects of them."""
    times_s = array("d")
    columns = {name: array("d") for name in COLUMNS}
    for point in points(recording):
        if times_s and point.wall_s - times_s[-1] < STEP_S:
            continue
        times_s.append(point.wall_s)
        for name, column in columns.items():
            value = point.columns.get(name)
            column.append(float("nan") if value is None else value)
    for name, column in columns.items():
        if all(value != value for value in column):
            continue
        kind, suffix = ("counter", "_total") if name in COUNTERS else ("gauge", "")
        yield f"# TYPE prodtop_{name} {kind}"
        for time_s, value in zip(times_s, column, strict=True):
            if value == value:
                yield f"prodtop_{name}{suffix} {value!r} {time_s:.3f}"
    yield "# EOF"
