"""What a chart says at its cursor is what was measured there, not what was drawn."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.tui.drawing.axis import Axis
from prodtop.tui.drawing.canvas import Canvas
from prodtop.tui.drawing.chart_data import ChartContent, ChartSettings, Place, Series
from prodtop.tui.drawing.chart_layout import ChartLayout, Sampled
from prodtop.tui.drawing.chart_painter import Painter, draw_curves
from prodtop.tui.style.formatting import MISSING, Unit
from prodtop.tui.style.glyphs import UNICODE

PLACES = tuple(Place(float(at), str(2**at)) for at in range(13))
WHOLE = Unit(
    lambda value: MISSING if value is None else f"{value:.0f}", lambda value: f"{value:.0f}"
)
VALUES = st.lists(
    st.one_of(st.integers(0, 9999).map(float), st.just(math.nan)), min_size=13, max_size=13
)


def said(content: ChartContent, chart: ChartSettings, width: int, height: int) -> list[str]:
    """The values in the legend of a chart of some size, in order."""
    layout = ChartLayout.fit(width, height, named=len(content.series) > 1)
    sampled = Sampled.of(content, layout.width, chart.gap_s, timed=not chart.places)
    axis, canvas = Axis(0.0, 9999.0), Canvas.blank(width, height)
    raster = draw_curves(content, sampled, layout, axis, UNICODE)
    Painter(content, sampled, raster, chart, layout, axis, UNICODE).paint(canvas)
    words = canvas.row(0).split()
    return [word for word in words if word == MISSING or word.isdigit()]


def expected(values: list[float], index: int) -> str:
    return MISSING if math.isnan(values[index]) else f"{values[index]:.0f}"


@settings(deadline=None, max_examples=60)
@given(
    st.integers(40, 220), st.integers(8, 40), st.lists(VALUES, min_size=1, max_size=3), st.data()
)
def test_at_a_place_the_reading_is_its_value(
    width: int, height: int, curves: list[list[float]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, 12))
    series = [
        Series(
            f"c{number}",
            [at for at in range(13) if not math.isnan(values[at])],
            [value for value in values if not math.isnan(value)],
        )
        for number, values in enumerate(curves)
    ]
    content = ChartContent(tuple(series), 12.35, 12.7, 12.35, cursor_s=float(place))
    read = said(content, ChartSettings(unit=WHOLE, places=PLACES, gap_s=1.5), width, height)
    if not all(math.isnan(value) for values in curves for value in values):
        assert read == [expected(values, place) for values in curves]


@settings(deadline=None, max_examples=60)
@given(st.integers(40, 220), VALUES, st.integers(0, 12), st.floats(0, 0.999))
def test_at_a_moment_the_reading_is_the_newest_sample(
    width: int, values: list[float], index: int, later_s: float
) -> None:
    """Whole seconds of a minute's chart: a column is never as short as the samples' distance."""
    times = [1000.0 + at for at in range(13)]
    cursor_s = min(times[index] + later_s, 1012.0)
    content = ChartContent((Series("c", times, values),), 1012.0, 60.0, 1012.0, cursor_s=cursor_s)
    read = said(content, ChartSettings(unit=WHOLE), width, 12)
    assert read[:1] == [expected(values, index)]
