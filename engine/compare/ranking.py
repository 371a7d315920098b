"""Which cells are measurably better: in one metric, and in several at once (the Pareto front)."""

from collections.abc import Sequence

from .median import Median, Verdict, compare
from .metrics import Metric
from .wording import several

Point = Sequence[Median]
"""A cell's medians, one for each objective."""


def beats(one: Point, other: Point, objectives: Sequence[Metric]) -> bool:
    """Whether `one` is measurably better in an objective, and by its median no worse in any."""
    measurably = False
    for mine, theirs, objective in zip(one, other, objectives, strict=True):
        if objective.better(theirs.value, mine.value):
            return False
        measurably = measurably or is_better(mine, theirs, objective)
    return measurably


def is_better(one: Median, other: Median, metric: Metric) -> bool:
    """Whether a difference in the metric's direction was measured."""
    better = {True: Verdict.HIGHER, False: Verdict.LOWER}.get(metric.higher_is_better is True)
    return metric.higher_is_better is not None and compare(one, other) is better


def pareto_front(points: Sequence[Point], objectives: Sequence[Metric]) -> list[int]:
    """The indices of the points that no other one `beats`; never empty where there are points."""
    return [
        index
        for index, point in enumerate(points)
        if not any(beats(other, point, objectives) for other in points)
    ]


def leaders(values: Sequence[Median], metric: Metric) -> list[int]:
    """The best by its median first, then those that no measurement tells from it, by median."""
    order = sorted(
        range(len(values)),
        key=lambda index: values[index].value,
        reverse=metric.higher_is_better is not False,
    )
    return [index for index in order if not is_better(values[order[0]], values[index], metric)]


def not_told_from(first: Median, others: Sequence[tuple[str, Median]]) -> str:
    """`no difference measured to a and b`, of named medians that are not told from `first`."""
    undecided = any(compare(first, other) is Verdict.UNDECIDED for _, other in others)
    names = several([name for name, _ in others])
    if undecided:
        return f"{Verdict.UNDECIDED.value} to tell it from {names}"
    return f"{Verdict.NO_DIFFERENCE.value} to {names}"
