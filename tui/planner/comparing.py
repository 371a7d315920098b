"""The comparison of a plan, worked out by the searching process as lines for the tab."""

from dataclasses import replace

from ...engine.planner.compare.comparison import compare
from ...engine.planner.cost.hardware import known_gpus
from ...engine.planner.question.question import ReferenceData
from ...engine.planner.search.constraints import Constraints
from ...engine.shape.field_errors import FieldError
from .comparison_tables import tables
from .comparison_text import text_lines
from .plan import Plan


def compared_lines(plan: Plan, constraints: Constraints, data: ReferenceData) -> tuple[str, ...]:
    """What `prodtop plan compare` prints for the form's question; why not, where it cannot."""
    gpu = plan.cluster.gpu
    # Other GPU types have memory of their own: only a limit that was typed is meant for them.
    asked = replace(constraints, memory_bytes=plan.constraints.memory_bytes)
    try:
        found = compare(
            plan.setting,
            asked,
            {**known_gpus(), gpu.key: gpu}.values(),
            tokens=plan.tokens,
            calibrations=data.calibrations,
        )
    except FieldError as error:
        return (str(error),)
    return tuple(text_lines(tables(found, data.prices)))
