"""Formula trees as a list of rows: which terms are open, and what stands at each depth."""

from dataclasses import dataclass

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.explain.figures import explain
from ...engine.planner.explain.terms import Term
from .evaluation import Evaluation, Point

Path = tuple[int, ...]
"""Where a term lies among trees: an index at each level."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One visible term: its place in the trees, and whether it shows its parts."""

    path: Path
    term: Term
    opened: bool

    @property
    def depth(self) -> int:
        return len(self.path) - 1


def every_figure(evaluation: Evaluation) -> tuple[Term, ...]:
    """The formulas of all figures of an evaluated plan."""
    plan = evaluation.plan
    return explain(evaluation.estimate, plan.tokens, plan.price, scaling_base(evaluation.fixed))


def scaling_base(points: tuple[Point, ...]) -> Estimate | None:
    """The smallest cluster that runs the layout: what scaling is measured against."""
    return next((point.estimate for point in points if point.estimate is not None), None)


def branches(trees: tuple[Term, ...], opened: frozenset[Path]) -> list[Branch]:
    """The visible terms from the top: every tree's root, and the parts of those that are open."""
    rows: list[Branch] = []

    def visit(terms: tuple[Term, ...], above: Path) -> None:
        for index, term in enumerate(terms):
            path = (*above, index)
            is_open = path in opened
            rows.append(Branch(path, term, is_open))
            if is_open:
                visit(term.parts, path)

    visit(trees, ())
    return rows


def ancestors(path: Path) -> frozenset[Path]:
    """What must be open for a term to be seen."""
    return frozenset(path[:length] for length in range(1, len(path)))


def path_to(terms: tuple[Term, ...], target: str) -> Path:
    """Where the first term of that name lies, a tree's root before all parts; the first tree where
    none has it."""
    roots = [(index,) for index, term in enumerate(terms) if term.name == target]
    return next(iter(roots), None) or _below(terms, target) or (0,)


def _below(terms: tuple[Term, ...], target: str) -> Path | None:
    for index, term in enumerate(terms):
        if term.name == target:
            return (index,)
        below = _below(term.parts, target)
        if below is not None:
            return (index, *below)
    return None
