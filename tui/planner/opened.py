"""Which formula a figure of the tab opens: target names to terms, built when asked for."""

from ...engine.planner.cost.estimate import Estimate
from ...engine.planner.cost.terms import Term
from ...engine.planner.explain.explain import (
    explain_mfu,
    explain_parameters,
    explain_step,
    explain_throughput,
)
from ...engine.planner.explain.figures import (
    explain_amdahl,
    explain_bubble,
    explain_communication,
    explain_cost,
    explain_energy,
    explain_hfu,
    explain_samples,
    explain_scaling,
    explain_training,
)
from ...engine.planner.explain.memory import explain_memory
from .evaluation import Evaluation, Point

MEMORY = "memory per GPU"
STEP = "step time"


def every_figure(shown: Evaluation) -> tuple[Term, ...]:
    """The formulas of all figures of an answer, in the order of the summary."""
    result, plan = shown.estimate, shown.plan
    terms = [
        explain_memory(result),
        explain_step(result),
        explain_throughput(result),
        explain_samples(result),
        explain_mfu(result),
        explain_hfu(result),
        explain_communication(result),
        explain_bubble(result),
        explain_amdahl(result),
        explain_training(result, plan.tokens),
        explain_energy(result, plan.tokens),
    ]
    if plan.price is not None:
        terms.append(explain_cost(result, plan.tokens, plan.price))
    base = scaling_base(shown.fixed)
    if base is not None:
        terms.append(explain_scaling(result, base))
    return (*terms, explain_parameters(result))


def scaling_base(points: tuple[Point, ...]) -> Estimate | None:
    """The smallest cluster that runs the layout: what scaling is measured against."""
    return next((point.estimate for point in points if point.estimate is not None), None)


def path_to(terms: tuple[Term, ...], target: str) -> tuple[int, ...]:
    """Where a term of that name lies among trees: an index at each level; the first tree where it
    lies nowhere."""
    for index, term in enumerate(terms):
        if term.name == target:
            return (index,)
    for index, term in enumerate(terms):
        below = _below(term, target)
        if below is not None:
            return (index, *below)
    return (0,)


def _below(term: Term, target: str) -> tuple[int, ...] | None:
    for index, part in enumerate(term.parts):
        if part.name == target:
            return (index,)
        below = _below(part, target)
        if below is not None:
            return (index, *below)
    return None
