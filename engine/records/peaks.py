"""What charts need of long ago, as the rows of a table: two for each stretch of time."""

from collections.abc import Iterable, Iterator

from .columns import COUNTERS
from .pyramid import Extent
from .recording.database import Peaks

Row = tuple[float, dict[str, float]]
"""When, on the recording's clock, and the columns."""


def peak_rows(peaks: Iterable[Peaks]) -> Iterator[Row]:
    """The columns at their lowest, and then at their highest, of each stretch: what lies between is
    not known any more. A counter's last value stands for both."""
    for each in peaks:
        starts: dict[float, dict[str, Extent]] = {}
        for name, extents in each.columns.items():
            for extent in extents:
                starts.setdefault(extent.start_s, {})[name] = extent
        for start_s in sorted(starts):
            columns = starts[start_s]
            for part, of_gauge in ((0.25, "low"), (0.75, "high")):
                yield (
                    start_s + part * each.bucket_s,
                    {
                        name: extent.last if name in COUNTERS else getattr(extent, of_gauge)
                        for name, extent in columns.items()
                    },
                )
