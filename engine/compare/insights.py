"""What a comparison says, in words: winners, the Pareto front, and what would change the winner.

Nothing is ranked that the intervals do not tell apart.
"""

from collections.abc import Sequence

import msgspec

from .cells import Cell, Comparison, Measured, label
from .median import Median, least_repeats
from .metrics import METRICS, Metric, summary
from .ranking import is_better, leaders, not_told_from, pareto_front
from .samples import NO_LIMITS, Limits
from .wording import change, figure, several

LATENCY, THROUGHPUT, EFFICIENCY = "e2e_p95_ms", "output_tok_s", "efficiency"


class Insight(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; `cells` are the labels of those that it names, the first the one by its median.

    `topic`: `latency`, `throughput`, `efficiency`, `pareto`, `winner` or `repeats`.
    """

    topic: str
    text: str
    cells: list[str]


class _Found(msgspec.Struct, frozen=True):
    name: str
    cell: Cell
    median: Median


def insights(comparison: Comparison, limits: Limits = NO_LIMITS) -> list[Insight]:
    """All findings; empty where nothing was measured."""
    cells = [each.cell for each in comparison.cells]
    measured = comparison.measured()
    names = [label(each.cell, cells) for each in measured]

    def found(name: str) -> list[_Found]:
        return [
            _Found(text, each.cell, value)
            for text, each in zip(names, measured, strict=True)
            if (value := summary(comparison, each, METRICS[name], limits)) is not None
        ]

    result = [
        insight
        for topic, name, words in (
            ("latency", LATENCY, "lowest latency"),
            ("throughput", THROUGHPUT, "highest throughput"),
            ("efficiency", EFFICIENCY, "best efficiency (tok/s per second of E2E)"),
        )
        if (insight := _best(topic, words, METRICS[name], found(name))) is not None
    ]
    front = _front(comparison, measured, names)
    winner = _winner_changes(found(THROUGHPUT), found(LATENCY))
    result += [each for each in (front, winner, _few_repeats(measured, names)) if each is not None]
    return result


def _best(topic: str, words: str, metric: Metric, found: Sequence[_Found]) -> Insight | None:
    if not found:
        return None
    first, *same = (found[index] for index in leaders([each.median for each in found], metric))
    text = f"{words}: {first.name}, {_named(metric, first.median.value)}"
    others = [each for each in found if each is not first and each not in same]
    if same:
        text += f"; {not_told_from(first.median, [(each.name, each.median) for each in same])}"
    if others:
        best = others[leaders([each.median for each in others], metric)[0]]
        text += f"; {best.name} {change(first.median.value, best.median.value)}"
    return Insight(topic=topic, text=text, cells=[each.name for each in (first, *same)])


def _named(metric: Metric, value: float) -> str:
    """`E2E p95 95.4 ms`, and `426 tok/s` where the unit says it."""
    text = figure(value, metric.unit)
    return text if metric.label == metric.unit.value else f"{metric.label} {text}"


def _front(
    comparison: Comparison, measured: Sequence[Measured], names: Sequence[str]
) -> Insight | None:
    """The cells that give the most throughput for their latency."""
    objectives = [METRICS[THROUGHPUT], METRICS[LATENCY]]
    points: list[list[Median]] = []
    kept: list[str] = []
    for each, name in zip(measured, names, strict=True):
        values = [summary(comparison, each, objective) for objective in objectives]
        known = [value for value in values if value is not None]
        if len(known) == len(objectives):
            points.append(known)
            kept.append(name)
    if not points:
        return None
    front = [kept[index] for index in pareto_front(points, objectives)]
    words = "Pareto front of tok/s and E2E p95"
    beaten = len(kept) - len(front)
    text = f"{words}: {several(front)}; {beaten} of {len(kept)} cells are measurably beaten"
    return Insight(topic="pareto", text=text, cells=front)


def _winner_changes(throughput: Sequence[_Found], latency: Sequence[_Found]) -> Insight | None:
    """Which latency limits would take the throughput winner out, and who leads then."""
    if not throughput:
        return None
    latency_of = {each.name: each.median for each in latency}
    metric, limit_metric = METRICS[THROUGHPUT], METRICS[LATENCY]
    left = [each for each in throughput if each.name in latency_of]
    parts: list[str] = []
    names: list[str] = []
    while left:
        winner = left[leaders([each.median for each in left], metric)[0]]
        names.append(winner.name)
        limit = latency_of[winner.name]
        left = [each for each in left if is_better(latency_of[each.name], limit, limit_metric)]
        if left:
            following = left[leaders([each.median for each in left], metric)[0]]
            parts.append(
                f"{following.name} if {limit_metric.label} must be below"
                f" {figure(limit.value, limit_metric.unit)}"
            )
    if not names:
        return None
    if not parts:
        text = f"no limit on {limit_metric.label} would change the winner, {names[0]}"
    else:
        text = f"what would change the winner, {names[0]}: {'; '.join(parts)}"
    return Insight(topic="winner", text=text, cells=names)


def _few_repeats(measured: Sequence[Measured], names: Sequence[str]) -> Insight | None:
    least = least_repeats()
    few = [name for each, name in zip(measured, names, strict=True) if len(each.repeats) < least]
    if not few:
        return None
    text = (
        f"{len(few)} of {len(names)} cells have fewer than the {least} repeats that an interval of"
        " the median needs: no difference to them counts"
    )
    return Insight(topic="repeats", text=text, cells=few)
