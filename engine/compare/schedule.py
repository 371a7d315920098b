"""Which cell to measure next, when a cell is warm, when it is done, and how long the rest takes.

All cells are measured once before any is measured again, so that a budget that ends early has
something of each; then round by round, so that what drifts over time (a hot GPU, a busy machine)
falls on all cells alike and not on the last one. Under a budget these rounds are first of the cells
that may be the best of their load: of the others it is known by then that they are not.
"""

import itertools
import math
import statistics
from collections.abc import Collection, Mapping, Sequence

import msgspec

from ..protocol import LoadSpec, PrecisionName, StrategyName
from .cells import Cell, Comparison, Measured
from .median import least_repeats, median


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """When to stop. `within`: the largest half of the interval, as a fraction of the median, of
    tok/s and of mean E2E with which a cell is done before `most_repeats`. `budget_s` `None`: no
    limit of time."""

    most_repeats: int
    within: float
    budget_s: float | None = None
    steady: bool = True
    """Run a cell's work until it is warm before its first repeat."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A load and settings under which every strategy runs at every precision; see `Cell`."""

    load: LoadSpec
    max_seqs: int | None = None
    drafts: int | None = None


def cells_of(
    strategies: Sequence[StrategyName],
    precisions: Sequence[PrecisionName],
    variants: Sequence[Variant],
) -> list[Cell]:
    """Every strategy at every precision under every variant.

    Precisions are outermost: changing one packs all weights anew.
    """
    return [
        Cell(
            strategy=strategy,
            precision=precision,
            load=variant.load,
            max_seqs=variant.max_seqs,
            drafts=variant.drafts,
        )
        for precision, variant, strategy in itertools.product(precisions, variants, strategies)
    ]


def is_done(measured: Measured, goal: Goal) -> bool:
    """Whether a cell needs no more repeats: narrow enough, as often as allowed, or not possible."""
    if measured.skipped is not None or measured.failure is not None:
        return True
    if len(measured.repeats) >= goal.most_repeats:
        return True
    tok_s = [repeat.output_tok_s for repeat in measured.repeats]
    # Under an open loop the rate decides tok/s, and what varies is how long requests take.
    e2e_ms = [repeat.e2e_ms.mean for repeat in measured.repeats if repeat.e2e_ms is not None]
    return _is_narrow(tok_s, goal) and _is_narrow(e2e_ms, goal)


def _is_narrow(values: Sequence[float], goal: Goal) -> bool:
    found = median(values)
    return (
        found is not None
        and found.decisive
        and found.spread is not None
        and found.spread <= goal.within
    )


CLOSE = 0.2
"""As far behind the best, as a fraction, a cell may still be it: repeats differ by less, also on a
machine that does other work."""


def next_cell(comparison: Comparison, goal: Goal) -> Measured | None:
    """The cell with the fewest repeats of those that are not done, the first asked for of those;
    under a budget one that may be the best of its load before one that may not."""
    waiting = [each for each in comparison.cells if not is_done(each, goal)]
    if goal.budget_s is not None and all(each.repeats for each in waiting):
        waiting = [each for each in waiting if _may_be_best(each, comparison)] or waiting
    return min(waiting, key=lambda each: len(each.repeats), default=None)


def _may_be_best(measured: Measured, comparison: Comparison) -> bool:
    """Whether its tok/s or its mean E2E is close to the best under its load."""
    rivals = [
        each for each in comparison.cells if each.repeats and each.cell.load == measured.cell.load
    ]
    fastest = max(map(_tok_s, rivals))
    if _tok_s(measured) >= fastest * (1 - CLOSE):
        return True
    latencies = [found for each in rivals if (found := _mean_e2e_ms(each)) is not None]
    own_ms = _mean_e2e_ms(measured)
    return own_ms is not None and own_ms <= min(latencies) * (1 + CLOSE)


def _tok_s(measured: Measured) -> float:
    return statistics.median(repeat.output_tok_s for repeat in measured.repeats)


def _mean_e2e_ms(measured: Measured) -> float | None:
    known = [repeat.e2e_ms.mean for repeat in measured.repeats if repeat.e2e_ms is not None]
    return statistics.median(known) if known else None


LEAST_WARM_UP = 2
"""Runs without which `is_warm` cannot say that a cell is warm."""


def is_warm(warm_up_tok_s: Sequence[float]) -> bool:
    """Whether a cell has stopped becoming faster: its last run beat none of the earlier ones.

    Needs no threshold. In runs that only vary by chance the k-th is the fastest so far with
    probability 1/k, so that a warm cell is found so after 2.7 runs on average.
    """
    return len(warm_up_tok_s) >= LEAST_WARM_UP and warm_up_tok_s[-1] <= max(warm_up_tok_s[:-1])


def most_warm_up_s(goal: Goal, cells: int) -> float:
    """How long a cell may be warmed: under a budget a third of an equal share of it, since what is
    slow at first is a small part of a run as long as that."""
    return math.inf if goal.budget_s is None else goal.budget_s / cells / 3


def is_behind(comparison: Comparison, goal: Goal, spent_s: float) -> bool:
    """Whether more of the budget is spent than of the cells has something: then there is no time to
    warm the next one, or the last ones would have nothing."""
    if goal.budget_s is None:
        return False
    cells = comparison.cells
    known = sum(bool(each.repeats) or is_done(each, goal) for each in cells)
    return spent_s / goal.budget_s > known / len(cells)


def time_left_s(
    comparison: Comparison,
    goal: Goal,
    took_s: Mapping[int, Sequence[float]],
    spent_s: float,
    warm: Collection[int] = (),
) -> float | None:
    """An estimate of the time that is left: the runs needed at least, each as long as those of its
    cell were (by index; of all cells, before it has any). Not more than is left of the budget.

    `warm`: the cells, by index, that need no more warm-up. `None` before anything has run.
    """
    every = [each for times in took_s.values() for each in times]
    if not every:
        return None
    enough = min(goal.most_repeats, least_repeats())
    usual_s = statistics.mean(every)
    left_s = sum(
        (
            max(enough - len(each.repeats), 1)
            + (LEAST_WARM_UP if goal.steady and index not in warm else 0)
        )
        * (statistics.mean(took_s[index]) if took_s.get(index) else usual_s)
        for index, each in enumerate(comparison.cells)
        if not is_done(each, goal)
    )
    return left_s if goal.budget_s is None else min(left_s, max(0.0, goal.budget_s - spent_s))


def with_measured(comparison: Comparison, measured: Measured) -> Comparison:
    """The comparison with a cell's newest state in its place."""
    cells = [measured if each.cell == measured.cell else each for each in comparison.cells]
    return msgspec.structs.replace(comparison, cells=cells)
