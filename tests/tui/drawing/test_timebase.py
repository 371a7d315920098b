"""Time in columns: alignment, pooling and gaps, against a slow and obvious oracle."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.timebase import TimeBase, bucketed, extremes

moments = st.floats(min_value=0, max_value=2e9)
spans = st.floats(min_value=1, max_value=1e5)
widths = st.integers(min_value=1, max_value=200)


@given(moments, spans, widths)
def test_the_last_cell_holds_the_moment_it_ends_at(
    end_s: float, span_s: float, columns: int
) -> None:
    base = TimeBase.ending(end_s, span_s, columns)
    assert base.column_of(end_s) == columns - 1
    assert base.start_s <= end_s <= base.end_s * (1 + 1e-12)


@given(moments, spans, widths, st.floats(min_value=0, max_value=1e4))
def test_cells_do_not_move_as_time_goes_on(
    end_s: float, span_s: float, columns: int, later_s: float
) -> None:
    """A later chart is the earlier one moved by whole cells."""
    before = TimeBase.ending(end_s, span_s, columns)
    after = TimeBase.ending(end_s + later_s, span_s, columns)
    assert before.bucket_s == after.bucket_s
    assert (after.first_bucket - before.first_bucket) % 2 == 0
    assert before.first_bucket % 2 == 0


def test_a_column_holds_the_moments_of_its_time() -> None:
    base = TimeBase.ending(1000.0, 60.0, 40)
    middles_s = [base.start_s + (column + 0.5) * 1.5 for column in range(40)]
    assert [base.column_of(middle_s) for middle_s in middles_s] == list(range(40))
    assert base.column_of(base.start_s - 0.01) is None
    assert base.column_of(base.end_s + 0.01) is None


def test_short_cells_are_drawn_once_they_are_over_and_long_ones_as_they_fill() -> None:
    short = TimeBase.ending(100.0, 60.0, 80)
    assert short.settled_s(100.1) == pytest.approx(99.75)
    half = TimeBase.ending(100.0, 60.0, 40)
    assert half.settled_s(101.0) == pytest.approx(100.5)
    long = TimeBase.ending(100.0, 600.0, 40)
    assert long.settled_s(100.1) == 100.1


samples = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=100, width=32),
        st.one_of(st.floats(min_value=-1e6, max_value=1e6), st.just(math.nan)),
    ),
    max_size=60,
).map(lambda pairs: sorted(pairs, key=lambda pair: pair[0]))


@given(samples)
def test_a_bucket_with_samples_shows_their_mean(pairs: list[tuple[float, float]]) -> None:
    base = TimeBase.ending(100.0, 64.0, 16)
    levels = bucketed([t for t, _ in pairs], [v for _, v in pairs], base)
    assert levels.shape == (32,)
    for index in range(32):
        bucket = base.first_bucket + index
        inside = [v for t, v in pairs if t // base.bucket_s == bucket and not math.isnan(v)]
        if inside:
            assert levels[index] == pytest.approx(sum(inside) / len(inside), abs=1e-6)


@given(samples)
def test_nothing_is_drawn_far_from_samples(pairs: list[tuple[float, float]]) -> None:
    """An empty bucket has a level only between two samples that are near each other."""
    base = TimeBase.ending(100.0, 64.0, 16)
    times = [t for t, _ in pairs]
    gap_s = 3.0
    usual_s = float(np.median(np.diff(times[-64:]))) if len(times) > 2 else 0.0
    bridge_s = max(gap_s, 2.5 * usual_s)
    levels = bucketed(times, [v for _, v in pairs], base, gap_s=gap_s)
    for index in np.flatnonzero(~np.isnan(levels)):
        middle = (base.first_bucket + index + 0.5) * base.bucket_s
        assert any(abs(t - middle) <= bridge_s + base.bucket_s for t in times)


def test_near_samples_are_joined_and_far_ones_are_not() -> None:
    base = TimeBase.ending(20.0, 20.0, 20)
    levels = bucketed([2.0, 4.0, 14.0, 15.0], [0.0, 4.0, 1.0, 1.0], base, gap_s=2.5)
    at = {time_s: levels[int(time_s / 0.5) - base.first_bucket] for time_s in (2, 2.5, 3, 4, 9, 14)}
    assert at[2] == 0.0
    assert at[2.5] == pytest.approx(1.0)
    assert at[3] == pytest.approx(2.0)
    assert at[4] == 4.0
    assert math.isnan(at[9])
    assert at[14] == 1.0


def test_a_missing_value_is_a_gap_however_short() -> None:
    base = TimeBase.ending(20.0, 20.0, 20)
    times = np.arange(0, 20, 0.5)
    values = np.ones_like(times)
    values[times == 10.0] = math.nan
    levels = bucketed(times, values, base)
    assert math.isnan(levels[20 - base.first_bucket])
    assert levels[19 - base.first_bucket] == 1.0
    assert levels[21 - base.first_bucket] == 1.0


def test_sparse_history_is_joined_by_its_own_spacing() -> None:
    """Old samples are kept one in ten seconds: that spacing is no gap."""
    base = TimeBase.ending(300.0, 300.0, 150)
    levels = bucketed(np.arange(0, 301, 10.0), np.ones(31), base, gap_s=2.0)
    assert not np.isnan(levels[:-4]).any()


def test_what_is_not_over_yet_is_left_out() -> None:
    base = TimeBase.ending(10.0, 10.0, 10)
    levels = bucketed([8.0, 9.0, 9.9], [1.0, 1.0, 5.0], base, end_s=9.5)
    assert np.nanmax(levels) == 1.0


@given(samples, st.floats(min_value=0, max_value=20))
def test_drawn_levels_stay_as_more_time_passes(
    pairs: list[tuple[float, float]], later_s: float
) -> None:
    """Scrolling never changes a settled bucket that has samples."""
    times, values = [t for t, _ in pairs], [v for _, v in pairs]
    before = TimeBase.ending(80.0, 32.0, 32)
    after = TimeBase.ending(80.0 + later_s, 32.0, 32)
    old = bucketed(times, values, before, end_s=before.settled_s(80.0))
    new = bucketed(times, values, after, end_s=after.settled_s(80.0 + later_s))
    shift = after.first_bucket - before.first_bucket
    known = {math.floor(t / 0.5) for t, v in zip(times, values, strict=True) if not math.isnan(v)}
    for index in range(max(0, shift), 64):
        bucket = before.first_bucket + index
        if bucket in known and not math.isnan(old[index]):
            assert new[index - shift] == pytest.approx(old[index])


@pytest.mark.filterwarnings("error")
@given(
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=8),
    st.floats(min_value=0.01, max_value=1e6),
)
def test_times_of_any_size_change_nothing_of_the_rest(far_s: list[float], span_s: float) -> None:
    """A file may have any number for a time: what a chart shows is what lies within it."""
    base = TimeBase.ending(1000.0, span_s, 20)
    inside = [base.start_s + (at + 0.5) * base.bucket_s for at in range(base.buckets)]
    others = [each for each in far_s if not base.start_s - 1 <= each <= base.end_s + 1]
    times_s = sorted([*inside, *others])
    values = [1.0 if each in set(inside) else 2.0 for each in times_s]
    reach_s = base.bucket_s
    assert bucketed(times_s, values, base, gap_s=reach_s).tolist() == [1.0] * base.buckets
    lows, highs = extremes(times_s, values, base)
    assert lows.tolist() == highs.tolist() == [1.0] * base.buckets
