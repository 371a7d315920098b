"""Pareto front and leaders: against the definition, over random points."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.median import Median
from prodtop.engine.compare.metrics import METRICS
from prodtop.engine.compare.ranking import beats, is_better, leaders, pareto_front

OBJECTIVES = [METRICS["output_tok_s"], METRICS["e2e_p95_ms"]]


@st.composite
def medians(draw: st.DrawFn) -> Median:
    value = draw(st.integers(0, 20))
    below, above = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    confidence = draw(st.sampled_from([0.97, 0.97, 0.97, 0.75]))
    return Median(
        value=value, low=value - below, high=value + above, confidence=confidence, count=6
    )


POINTS = st.lists(st.tuples(medians(), medians()), min_size=1, max_size=12)


def exact(value: float) -> Median:
    return Median(value=value, low=value, high=value, confidence=0.97, count=6)


@given(POINTS)
def test_whoever_is_not_on_the_front_is_beaten_and_nobody_on_it_is(
    points: list[tuple[Median, Median]],
) -> None:
    front = pareto_front(points, OBJECTIVES)
    assert front
    for index, point in enumerate(points):
        beaten = any(beats(other, point, OBJECTIVES) for other in points)
        assert (index in front) is not beaten


@given(POINTS)
def test_beating_takes_a_measured_difference_and_no_worse_median(
    points: list[tuple[Median, Median]],
) -> None:
    for one in points:
        assert not beats(one, one, OBJECTIVES)
        for other in points:
            if not beats(one, other, OBJECTIVES):
                continue
            assert not beats(other, one, OBJECTIVES)
            assert one[0].value >= other[0].value
            assert one[1].value <= other[1].value
            assert one[0].low > other[0].high or one[1].high < other[1].low


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_of_exact_values_it_is_the_textbook_front(values: list[tuple[int, int]]) -> None:
    points = [(exact(tok_s), exact(ms)) for tok_s, ms in values]
    expected = [
        index
        for index, (tok_s, ms) in enumerate(values)
        if not any(
            other_tok_s >= tok_s and other_ms <= ms and (other_tok_s, other_ms) != (tok_s, ms)
            for other_tok_s, other_ms in values
        )
    ]
    assert pareto_front(points, OBJECTIVES) == expected


@given(st.lists(medians(), min_size=1, max_size=12), st.sampled_from(OBJECTIVES))
def test_leaders_are_the_best_median_and_all_that_are_not_measurably_worse(
    values: list[Median], metric: object
) -> None:
    objective = next(each for each in OBJECTIVES if each is metric)
    found = leaders(values, objective)
    best = (max if objective.higher_is_better else min)(each.value for each in values)
    assert values[found[0]].value == best
    for index, value in enumerate(values):
        assert (index in found) is not is_better(values[found[0]], value, objective)


def test_nothing_is_better_in_a_metric_without_direction() -> None:
    running = METRICS["peak_running"]
    assert not is_better(exact(1), exact(2), running)
    assert not is_better(exact(2), exact(1), running)
    assert leaders([exact(1), exact(2)], running) == [1, 0]
