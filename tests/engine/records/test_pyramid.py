"""Whatever the zoom, the extents of a pyramid are those of the samples: no peak is lost."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.records.columns import COLUMNS
from prodtop.engine.records.pyramid import FACTOR, Extent, Pyramid, merged, summarized
from prodtop.engine.records.recording.database import PEAK_BUCKET_S, Peaks
from prodtop.engine.records.recording.peaks import MOST_STRETCHES, peak_table

BUCKET_S = 10.0
POINTS = st.lists(
    st.tuples(st.floats(0, 5_000), st.one_of(st.floats(-1e6, 1e6), st.just(math.nan))),
    max_size=60,
).map(lambda points: sorted(points, key=lambda point: point[0]))


def within(points: list[tuple[float, float]], extent: Extent) -> list[float]:
    """The values of the samples in an extent's stretch."""
    return [
        value
        for time_s, value in points
        if extent.start_s <= time_s < extent.end_s and math.isfinite(value)
    ]


@given(POINTS)
def test_an_extent_is_that_of_its_samples(points: list[tuple[float, float]]) -> None:
    extents = summarized(points, BUCKET_S)
    assert sum(extent.samples for extent in extents) == sum(
        math.isfinite(value) for _, value in points
    )
    for extent in extents:
        values = within(points, extent)
        assert (extent.low, extent.high, extent.last) == (min(values), max(values), values[-1])
        assert extent.samples == len(values)
        assert math.isclose(extent.mean, math.fsum(values) / len(values), abs_tol=1e-6)


@given(POINTS, st.floats(0, 5_000), st.floats(1, 5_000), st.integers(1, 40))
def test_no_peak_is_lost_at_any_zoom(
    points: list[tuple[float, float]], start_s: float, span_s: float, most: int
) -> None:
    end_s = start_s + span_s
    found = Pyramid(summarized(points, BUCKET_S), BUCKET_S).extents(start_s, end_s, most)
    inside = [v for t, v in points if start_s <= t <= end_s and math.isfinite(v)]
    for extent in found:
        values = within(points, extent)
        assert (extent.low, extent.high, extent.last) == (min(values), max(values), values[-1])
        assert extent.samples == len(values)
    if inside:
        assert max(extent.high for extent in found) >= max(inside)
        assert min(extent.low for extent in found) <= min(inside)


@given(POINTS, st.integers(1, 40))
def test_a_zoom_has_as_many_extents_as_fit_and_no_level_more_than_it_needs(
    points: list[tuple[float, float]], most: int
) -> None:
    pyramid = Pyramid(summarized(points, BUCKET_S), BUCKET_S)
    found = pyramid.extents(0.0, 5_000.0, most)
    assert len(found) <= max(1, most)
    widths = {round((extent.end_s - extent.start_s) / BUCKET_S) for extent in found}
    assert len(widths) <= 1
    for width in widths:
        if width > 1:
            finer = pyramid.at_width(width * BUCKET_S / FACTOR)
            assert len(finer) > most


@given(POINTS, st.integers(0, 60))
def test_parts_that_were_summarized_alone_are_merged(
    points: list[tuple[float, float]], cut: int
) -> None:
    """As segments are, which may end within a bucket."""
    parts = [*summarized(points[:cut], BUCKET_S), *summarized(points[cut:], BUCKET_S)]
    whole = Pyramid(summarized(points, BUCKET_S), BUCKET_S).at_width(BUCKET_S)
    merged_parts = Pyramid(parts, BUCKET_S).at_width(BUCKET_S)
    assert [(e.start_s, e.low, e.high, e.samples, e.last) for e in merged_parts] == [
        (e.start_s, e.low, e.high, e.samples, e.last) for e in whole
    ]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(1, 300_000))
def test_a_table_of_peaks_keeps_the_least_and_the_greatest(
    values: list[float], span_s: float
) -> None:
    points = [(place * span_s / len(values), value) for place, value in enumerate(values)]
    peaks = Peaks(
        columns={
            name: summarized(points, PEAK_BUCKET_S) for name in ("running", "generated_tokens")
        }
    )
    table = peak_table([peaks], span_s)
    assert len(table.times_s) <= 2 * (MOST_STRETCHES + 1)
    assert list(table.times_s) == sorted(table.times_s)
    assert set(table.columns) == set(COLUMNS)
    assert (min(table.columns["running"]), max(table.columns["running"])) == (
        min(values),
        max(values),
    )
    assert table.columns["generated_tokens"][-1] == values[-1]
    assert all(math.isnan(value) for value in table.columns["mbu"])
    half = table.before(span_s / 2)
    assert list(half.times_s) == list(table.times_s[: len(half.times_s)])


def test_one_extent_merges_to_itself() -> None:
    extent = Extent(0.0, 10.0, 1.0, 3.0, 8.0, 4, 2.0)
    assert merged([extent]) == extent
