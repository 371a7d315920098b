"""Zoom keeps peaks: where a dot of a chart spans a second or more, it reaches from the least sample
in it to the greatest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.tui.drawing.braille import DOTS_HIGH, Trace, dot_rows, rasterize
from prodtop.tui.drawing.chart_data import ChartContent, Series, Stroke
from prodtop.tui.drawing.chart_layout import Sampled
from prodtop.tui.drawing.scale import LinearScale
from prodtop.tui.drawing.timebase import BUCKETS_PER_CELL

COLUMNS, ROWS = 20, 6


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=300),
    step_s=st.floats(0.05, 30.0),
    span_s=st.floats(COLUMNS * BUCKETS_PER_CELL, 86_400.0),
    stroke=st.sampled_from([Stroke.LINE, Stroke.AREA, Stroke.DASHED]),
)
def test_the_greatest_and_the_least_sample_in_view_are_drawn(
    values: list[float], step_s: float, span_s: float, stroke: Stroke
) -> None:
    times_s = [1e6 + place * step_s for place in range(len(values))]
    series = Series("x", times_s, values, stroke)
    content = ChartContent((series,), now_s=times_s[-1], span_s=span_s, end_s=times_s[-1])
    sampled = Sampled.of(content, COLUMNS, 2.0)
    base = sampled.base
    end_s = base.settled_s(content.end_s)
    seen = [
        value
        for time_s, value in zip(times_s, values, strict=True)
        if np.floor(time_s / base.bucket_s) >= base.first_bucket and time_s < end_s
    ]
    if not seen:
        return
    lows, highs = sampled.peaks[0]
    assert (np.nanmin(lows), np.nanmax(highs)) == (min(seen), max(seen))
    extent = sampled.extent
    assert extent is not None
    # A line comes from the sample before the first that is seen, which may be greater.
    assert extent.highest >= max(seen)
    axis = LinearScale(None, 0.0).axis(extent, content.now_s)
    raster = rasterize([Trace(sampled.levels[0], stroke, (lows, highs))], base, ROWS, axis)
    drawn = {int(row) for row in np.flatnonzero((raster.owner >= 0).any(axis=1))}
    for value in (max(seen), min(seen)):
        (dot,) = dot_rows(np.array([value]), axis, ROWS * DOTS_HIGH)
        assert ROWS - 1 - int(dot) // DOTS_HIGH in drawn
