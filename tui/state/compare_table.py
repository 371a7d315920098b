"""The matrix of strategies and precisions by one metric: every cell between the worst and the best.

Pure, from what was measured to what is shown of each cell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...engine.compare.matrix import Entry, entry
from ...engine.compare.median import Median
from ...engine.compare.metrics import METRICS, Metric, summary
from ...engine.compare.samples import Limits
from ...engine.protocol import Frame, PrecisionName, StrategyName
from .compare import Compare, Place, live_value, places

SHOWN = (
    "output_tok_s",
    "e2e_p95_ms",
    "ttft_p95_ms",
    "tpot_p50_ms",
    "efficiency",
    "goodput_req_s",
    "attainment",
    "req_s",
    "ttfb_p95_ms",
    "batch_efficiency",
    "memory_bytes",
    "prefix_hit_rate",
    "response_hit_rate",
    "j_per_token",
    "mbu",
    "success_rate",
)
"""The metrics that keys step through, the first at first."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One cell of the matrix by its metric.

    `heat`: from 0, the worst of the measured ones, to 1, the best; `None` for one that is not
    measured, or where no two differ. `live`: what the live load showed where the sweep has nothing,
    and whether it is only known to be at least so much; it is never ranked.
    """

    place: Place
    entry: Entry
    heat: float | None = None
    live: tuple[float, bool] | None = None
    skipped: str | None = None
    failure: str | None = None

    @property
    def median(self) -> Median | None:
        return self.entry.median


@dataclass(frozen=True, slots=True)
class Table:
    """All cells by one metric, `spots` by row and column."""

    metric: Metric
    rows: Sequence[StrategyName]
    columns: Sequence[PrecisionName]
    spots: Mapping[Place, Spot]
    baseline: Place | None

    def at(self, row: int, column: int) -> Spot | None:
        """The spot under a cursor; `None` before there are columns."""
        if not self.columns:
            return None
        row, column = min(row, len(self.rows) - 1), min(column, len(self.columns) - 1)
        return self.spots[self.rows[row], self.columns[column]]


def table(
    compare: Compare, frame: Frame | None, name: str, limits: Limits, baseline: Place | None
) -> Table:
    """The matrix by the metric `name`."""
    metric = METRICS[name]
    rows, columns = places(frame, compare)
    reasons = {status.name: status.reason for status in frame.precisions} if frame else {}
    spots = {}
    for place in ((row, column) for row in rows for column in columns):
        spot = spot_of(compare, place, name, limits, baseline)
        if compare.measured(place) is None:
            spot = replace(spot, skipped=reasons.get(place[1]))
        spots[place] = spot
    heats = _heats({place: spot.median for place, spot in spots.items()}, metric)
    warm = {place: replace(spot, heat=heats.get(place)) for place, spot in spots.items()}
    return Table(metric, rows, columns, warm, baseline)


def spot_of(
    compare: Compare, place: Place, name: str, limits: Limits, baseline: Place | None
) -> Spot:
    """One cell by the metric `name`, without its place among the others."""
    metric, measured = METRICS[name], compare.measured(place)
    median = _median(compare, place, metric, limits)
    base = None if baseline is None else _median(compare, baseline, metric, limits)
    return Spot(
        place=place,
        entry=entry(metric, median, base),
        live=None if median is not None else _live(compare, place, name),
        skipped=None if measured is None else measured.skipped,
        failure=None if measured is None else measured.failure,
    )


def _median(compare: Compare, place: Place, metric: Metric, limits: Limits) -> Median | None:
    measured = compare.measured(place)
    if measured is None or compare.comparison is None:
        return None
    return summary(compare.comparison, measured, metric, limits)


def _live(compare: Compare, place: Place, name: str) -> tuple[float, bool] | None:
    tried = compare.served(place)
    return None if tried is None or tried.figures is None else live_value(tried.figures, name)


def _heats(medians: Mapping[Place, Median | None], metric: Metric) -> dict[Place, float]:
    """Where each median lies between the worst and the best: by ratio where all are above 0, since
    strategies differ by factors. Empty for a metric without direction, or where all are alike."""
    known = {place: found.value for place, found in medians.items() if found is not None}
    if metric.higher_is_better is None or len(known) < 2:
        return {}
    if min(known.values()) > 0:
        known = {place: math.log(value) for place, value in known.items()}
    low, high = min(known.values()), max(known.values())
    if high <= low:
        return {}
    shares = {place: (value - low) / (high - low) for place, value in known.items()}
    return shares if metric.higher_is_better else {p: 1 - share for p, share in shares.items()}


def stepped(name: str, step: int) -> str:
    """The metric before or after one, round and round."""
    return SHOWN[(SHOWN.index(name) + step) % len(SHOWN)]
