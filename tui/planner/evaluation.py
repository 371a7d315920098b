"""A plan's estimate, and that of the same layout on clusters from 1 to 4096 GPUs."""

from dataclasses import dataclass, replace

from ...engine.planner.cost.estimate import Estimate, estimate
from ...engine.planner.cost.layout import check_layout
from ...engine.shape.field_errors import FieldError
from .plan import Plan

GPU_COUNTS = tuple(1 << power for power in range(13))
"""Of the charts: 1, 2, 4 … 4096."""


@dataclass(frozen=True, slots=True)
class Point:
    """One cluster size; `estimate` is `None` where the layout cannot run on it."""

    gpus: int
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A plan with its estimate. `fixed` keeps the batch over all cluster sizes (strong scaling),
    `growing` keeps it per GPU (weak scaling)."""

    plan: Plan
    estimate: Estimate
    fixed: tuple[Point, ...]
    growing: tuple[Point, ...]

    @property
    def fits(self) -> bool:
        """Whether the fullest GPU stays within the memory limit."""
        return self.estimate.memory.total <= self.plan.limit_bytes


def evaluate(plan: Plan) -> Evaluation:
    """The direct estimate and its curves: some 27 estimates, a millisecond or so."""
    return Evaluation(
        plan,
        estimate(plan.setting, plan.layout),
        tuple(_point(plan, gpus, plan.batch) for gpus in GPU_COUNTS),
        tuple(_point(plan, gpus, plan.batch * gpus / plan.cluster.gpus) for gpus in GPU_COUNTS),
    )


def _point(plan: Plan, gpus: int, batch: float) -> Point:
    """The plan's layout with as many replicas as fill `gpus`, and micro-batches for `batch`."""
    layout = plan.layout
    split = layout.tp * layout.pp * layout.cp
    dp = gpus // split
    sequences = dp * layout.micro_batch
    if gpus % split or batch % sequences:
        return Point(gpus, None)
    grown = replace(layout, dp=dp, micro_batches=int(batch // sequences))
    setting = replace(plan.setting, cluster=replace(plan.cluster, gpus=gpus))
    try:
        check_layout(grown, plan.model, setting.cluster, setting.sequence)
        return Point(gpus, estimate(setting, grown, checked=False))
    except FieldError:
        return Point(gpus, None)
