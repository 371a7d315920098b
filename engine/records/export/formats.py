"""The formats that a recording is exported to, by name."""

from collections.abc import Callable, Iterator, Mapping

from ..recording.reader import Recording
from .openmetrics import openmetrics_lines
from .perfetto import perfetto_lines
from .tables import request_rows, series_rows
from .workload import mooncake_lines

FORMATS: Mapping[str, Callable[[Recording], Iterator[str]]] = {
    "perfetto": perfetto_lines,
    "mooncake": mooncake_lines,
    "openmetrics": openmetrics_lines,
    "csv": request_rows,
    "series": series_rows,
}
"""Each gives the lines of the file."""
