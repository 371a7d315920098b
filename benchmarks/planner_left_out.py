"""What is made of left-out residuals: scores by source, intervals by class, and their coverage."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from planner_scoring.scoring import Metric, Scored, percentile
from prodtop.engine.planner.cost.intervals import EVERY, SHARE

LEAST_RUNS, LEAST_SOURCES = 10, 2
"""Of a class that has an interval of its own; others take a wider one's."""
METRICS: tuple[Metric, ...] = ("time", "memory")


@dataclass(frozen=True)
class Residual:
    """Logarithm of predicted over measured, of time (not of speed) or memory."""

    row: int
    source: str
    metric: Metric
    error: float
    classes: tuple[str, ...]
    baseline: float | None

    @classmethod
    def of(cls, one: Scored) -> Self:
        """Of a scored row; a speed turns round."""
        sign = 1.0 if one.unit in ("s", "bytes") else -1.0
        baseline = None if one.baseline is None else abs(one.baseline / one.measured - 1)
        error = sign * math.log(one.predicted / one.measured)
        return cls(one.row, one.source, one.metric, error, one.classes, baseline)


def spread_of(residuals: Sequence[Residual]) -> float:
    """The distance that holds four of five, sources weighing as the root of their runs."""
    counts = Counter(one.source for one in residuals)
    ordered = sorted((abs(one.error), counts[one.source] ** -0.5) for one in residuals)
    whole, passed = sum(weight for _, weight in ordered), 0.0
    for error, weight in ordered:
        passed += weight
        if passed >= SHARE * whole:
            return error
    return ordered[-1][0]


def spreads(residuals: Sequence[Residual]) -> dict[str, tuple[float, int, int]]:
    """Spread, runs and sources of each class that has enough of them."""
    members: dict[str, list[Residual]] = {}
    for one in residuals:
        for name in one.classes:
            members.setdefault(name, []).append(one)
    sized = {
        name: (spread_of(group), len(group), len({one.source for one in group}))
        for name, group in members.items()
    }
    return {
        name: found
        for name, found in sized.items()
        if (found[1] >= LEAST_RUNS and found[2] >= LEAST_SOURCES) or name == EVERY
    }


def held(residuals: Sequence[Residual], factor: float = 1.0) -> float:
    """Share of runs within the interval that all other sources give."""
    inside = 0
    for source in {one.source for one in residuals}:
        known = spreads([one for one in residuals if one.source != source])
        for one in residuals:
            if one.source == source:
                name = next(name for name in one.classes if name in known)
                inside += abs(one.error) <= factor * known[name][0]
    return inside / len(residuals)


def widening(residuals: Sequence[Residual]) -> float:
    """What spreads are multiplied with, for intervals of left-out sources to hold their share."""
    factors = [1.05**step for step in range(-10, 20)]
    return min(factors, key=lambda factor: abs(held(residuals, factor) - SHARE))


def coverage(residuals: Sequence[Residual]) -> dict[Metric, float]:
    """Share of the runs that intervals of the other sources' residuals hold, by metric."""
    found: dict[Metric, float] = {}
    for metric in METRICS:
        of_metric = [one for one in residuals if one.metric == metric]
        if of_metric:
            found[metric] = held(of_metric, widening(of_metric))
    return found


def write_intervals(residuals: Sequence[Residual], path: Path) -> None:
    """Write `intervals.toml`."""
    lines = [
        "# Made by benchmarks/planner_fit.py --intervals. An estimate of a class lies within a",
        "# factor of 1 + spread of what is measured in four of five runs of a source that the",
        "# constants were not fitted to.",
    ]
    for metric in METRICS:
        of_metric = [one for one in residuals if one.metric == metric]
        factor = widening(of_metric)
        for name, (spread, runs, sources) in sorted(spreads(of_metric).items()):
            lines += ["", f'[{metric}."{name}"]']
            lines += [f"spread = {math.expm1(factor * spread):.3f}", f"runs = {runs}"]
            lines.append(f"sources = {sources}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def print_scores(now: Sequence[Residual], other: Sequence[Residual], title: str) -> None:
    """Median and 90th percentile of each source, as it is and otherwise; signed medians too."""
    print(f"| | source | runs | signed | median | p90 | {title}: median | p90 | one MFU: median |")
    print("|---|---|---|---|---|---|---|---|---|")
    for metric in METRICS:
        named = dict.fromkeys(one.source for one in now if one.metric == metric)
        for source in [*named, None]:
            mine, theirs = (
                [one for one in rows if one.metric == metric and source in (None, one.source)]
                for rows in (now, other)
            )
            if not mine:
                continue
            signed = math.expm1(percentile(sorted(one.error for one in mine), 0.5))
            figures = [f"{signed:+.1%}", *_errors(mine), *_errors(theirs)]
            plain = sorted(one.baseline for one in mine if one.baseline is not None)
            figures.append(f"{percentile(plain, 0.5):.1%}" if plain else "--")
            print(f"| {metric} | {source or 'all'} | {len(mine)} | {' | '.join(figures)} |")


def _errors(rows: Sequence[Residual]) -> tuple[str, str]:
    errors = sorted(abs(math.expm1(one.error)) for one in rows)
    return f"{percentile(errors, 0.5):.1%}", f"{percentile(errors, 0.9):.1%}"
