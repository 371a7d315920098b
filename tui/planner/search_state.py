"""What has been found for a plan so far, as estimates that the tables and charts draw from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ...engine.planner.cost.estimate import Estimate, estimate
from ...engine.planner.cost.layout import Layout
from ...engine.planner.cost.setting import Setting
from ...engine.planner.explain.verdict import Verdict, verdict
from ...engine.planner.search.search import runner_up_of
from ...engine.shape.field_errors import FieldError
from .evaluation import Point
from .plan import Plan
from .search_messages import ComparisonFound, Done, Finding, LayoutsFound, PointFound, StrategyFound


@dataclass(frozen=True, slots=True)
class Candidate:
    """One strategy at its best. `reason` says why it cannot be used, where it cannot."""

    estimate: Estimate | None
    reason: str | None


@dataclass(frozen=True)
class Layouts:
    """The best layouts of a cluster: `splits` the fastest of each split, `front` the Pareto front
    of memory and time, `faster` what more memory would bring."""

    splits: tuple[Estimate, ...]
    front: tuple[Estimate, ...]
    faster: Estimate | None
    considered: int
    fitting: int
    reason: str | None
    limit_bytes: float

    @cached_property
    def verdict(self) -> Verdict | None:
        """The winner against the runner-up, worked out when first asked for."""
        other = runner_up_of(self.splits)
        return verdict(self.splits[0], other, self.limit_bytes) if other else None


@dataclass(frozen=True)
class Searched:
    """All findings for one plan."""

    plan: Plan
    strategies: Mapping[str, Candidate] = field(default_factory=dict)
    layouts: Layouts | None = None
    points: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    comparison: tuple[str, ...] | None = None
    done_s: float | None = None

    def taking(self, finding: Finding) -> "Searched":
        """With one more finding."""
        match finding:
            case StrategyFound(key=key, layout=layout, reason=reason):
                candidate = Candidate(_estimate(self.plan.setting, layout), reason)
                return replace(self, strategies={**self.strategies, key: candidate})
            case LayoutsFound():
                return replace(self, layouts=self._layouts(finding))
            case PointFound(key=key, gpus=gpus, layout=layout):
                point = Point(gpus, self._on(gpus, layout))
                points = (*self.points.get(key, ()), point)
                return replace(self, points={**self.points, key: points})
            case ComparisonFound(lines=lines):
                return replace(self, comparison=lines)
            case Done(seconds=seconds):
                return replace(self, done_s=seconds)

    def _layouts(self, finding: LayoutsFound) -> Layouts:
        setting = self.plan.setting
        return Layouts(
            splits=_estimates(setting, finding.splits),
            front=_estimates(setting, finding.front),
            faster=_estimate(setting, finding.faster),
            considered=finding.considered,
            fitting=finding.fitting,
            reason=finding.reason,
            limit_bytes=self.plan.limit_bytes,
        )

    def _on(self, gpus: int, layout: Layout | None) -> Estimate | None:
        cluster = replace(self.plan.cluster, gpus=gpus)
        return _estimate(replace(self.plan.setting, cluster=cluster), layout)


def _estimates(setting: Setting, layouts: tuple[Layout, ...]) -> tuple[Estimate, ...]:
    every = (_estimate(setting, layout) for layout in layouts)
    return tuple(each for each in every if each is not None)


def _estimate(setting: Setting, layout: Layout | None) -> Estimate | None:
    try:
        return None if layout is None else estimate(setting, layout, checked=False)
    except FieldError:
        return None
