"""The plan that a snapshot keeps of the Planner tab."""

from ...engine.records.snapshot import PlanRecord
from .session import Session


def plan_record(session: Session) -> PlanRecord | None:
    """What stands in the form, and its main figures; `None` before the first plan, and where the
    form holds an error."""
    evaluation = session.evaluation
    if evaluation is None or session.errors:
        return None
    estimate = evaluation.estimate
    return PlanRecord(
        texts=dict(session.form.current),
        layout=estimate.layout.shorthand,
        fits=evaluation.fits,
        step_s=estimate.step_s,
        tokens_s=estimate.tokens_s,
        mfu=estimate.mfu(),
        memory_bytes=float(estimate.memory.total),
    )
