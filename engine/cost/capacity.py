"""How many requests a second one GPU takes, and how many GPUs a load needs: by the load curve that
was measured, and by Little's law.

GPUs are replicas of the engine, each with the same share of the load: what a balancer loses is not
in it, nor a reserve.
"""

import math
from dataclasses import dataclass

from ..compare.cells import Comparison
from ..compare.curves import Curve, LoadPoint
from ..compare.metrics import METRICS, summary
from ..compare.wording import digits

AGREE_WITHIN = 0.1
"""Two estimates of requests a second that differ by no more are said to agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCurve:
    """The most requests a second that were measured within the limits and not beyond the knee.

    at_least: no heavier load was measured, so that there may be more. reason: what ends it.
    """

    req_s: float
    load: str
    at_least: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLittle:
    """λ = L ÷ W: `slots` requests at once, each in the system for `residence_s` on the mean.

    An upper bound: it takes W as it is at the load that it was measured at, and W grows with load.
    """

    slots: int
    residence_s: float

    @property
    def req_s(self) -> float:
        return self.slots / self.residence_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Both estimates for one GPU, and what a load of `target_req_s` needs by each."""

    target_req_s: float | None
    by_curve: ByCurve | None
    by_little: ByLittle | None

    @property
    def gpus_by_curve(self) -> int | None:
        return gpus(self.target_req_s, None if self.by_curve is None else self.by_curve.req_s)

    @property
    def gpus_by_little(self) -> int | None:
        return gpus(self.target_req_s, None if self.by_little is None else self.by_little.req_s)

    @property
    def ratio(self) -> float | None:
        """Little's law over the curve; `None` where either is missing."""
        if self.by_curve is None or self.by_little is None or self.by_curve.req_s <= 0:
            return None
        return self.by_little.req_s / self.by_curve.req_s

    @property
    def disagreement(self) -> str | None:
        """What the two say of each other, in words; `None` where either is missing."""
        ratio = self.ratio
        if ratio is None:
            return None
        if abs(ratio - 1) <= AGREE_WITHIN:
            return "both agree within 10 %"
        if ratio > 1:
            return f"Little's law says ×{digits(ratio)}: requests stay longer at a heavier load"
        return f"Little's law says ×{digits(ratio)}: its requests stay longer than the curve's did"


def gpus(target_req_s: float | None, req_s: float | None) -> int | None:
    """GPUs for a load, each of `req_s`; `None` where either is not known, or one takes nothing."""
    if target_req_s is None or req_s is None or req_s <= 0:
        return None
    needed = target_req_s / req_s
    if not math.isfinite(needed):
        return None
    # 3.0000000001 of rounding is 3.
    return max(1, math.ceil(needed - 1e-9 * needed))


def by_little(slots: int | None, residence_s: float | None) -> ByLittle | None:
    """`None` without a request that was measured."""
    if not slots or residence_s is None or residence_s <= 0:
        return None
    return ByLittle(slots=slots, residence_s=residence_s)


def by_curve(curve: Curve) -> ByCurve | None:
    """What the curve says; `None` where no point keeps the limits.

    Points beyond the knee do not count, nor do those that miss a limit. Without limits the knee
    alone ends it, and without a knee the heaviest load that was measured.
    """
    last = len(curve.points) - 1 if curve.knee is None else curve.knee.last
    allowed = [point for point in curve.points[: last + 1] if point.within_limits is not False]
    if not allowed:
        return None
    best = max(allowed, key=lambda point: point.req_s.value)
    missed = next(
        (each for each in curve.points if each.within_limits is False and _above(each, best)), None
    )
    at_least = missed is None and last == len(curve.points) - 1
    if missed is not None and missed in curve.points[: last + 2]:
        reason = f"limits missed at {missed.label}"
    elif at_least:
        reason = f"no knee and no missed limit up to {curve.points[-1].label}"
    else:
        reason = f"knee at {curve.points[last].label}"
    return ByCurve(req_s=best.req_s.value, load=best.label, at_least=at_least, reason=reason)


def _above(one: LoadPoint, other: LoadPoint) -> bool:
    return one.load.amount > other.load.amount


def at_point(curve: Curve, load: str) -> LoadPoint | None:
    """The point of a load by its label."""
    return next((point for point in curve.points if point.label == load), None)


def of_comparison(comparison: Comparison, curve: Curve, target_req_s: float | None) -> Capacity:
    """Both estimates from a comparison alone: W is the mean E2E of the curve's lightest load, L
    the most sequences at once."""
    found = by_curve(curve)
    lightest = None if curve.cell is None else comparison.find(curve.cell)
    mean_ms = None if lightest is None else summary(comparison, lightest, METRICS["e2e_mean_ms"])
    repeats = [] if lightest is None else lightest.repeats
    slots = next((each.max_seqs for each in repeats if each.max_seqs), comparison.work.max_seqs)
    return Capacity(
        target_req_s=target_req_s,
        by_curve=found,
        by_little=by_little(slots, None if mean_ms is None else mean_ms.value / 1e3),
    )
