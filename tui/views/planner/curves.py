"""Curves against the number of GPUs: memory, throughput, communication, scaling efficiency.

The plan's own layout is drawn with the batch kept and with the batch growing with the cluster.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ....engine.planner.estimate import Estimate
from ...formatting import FRACTION, MISSING, NUMBER, Unit, si
from ...planner.answer import LADDER, Answer, Point
from ...planner.opened import scaling_base
from ...planner.units import GIB, gib
from ...widgets.chart_view import Mark, Place, Series, Stroke, Threshold
from ..curves import CurvesView
from ..line import line, muted, strong
from .common import panel_title

PLACES = tuple(Place(math.log2(gpus), str(gpus)) for gpus in LADDER)
LAST = PLACES[-1].at


def _gib_text(value: float | None) -> str:
    return MISSING if value is None else f"{gib(value * GIB)} GiB"


def _speed_text(value: float | None) -> str:
    return f"{si(value)} tok/s"


GIB_UNIT = Unit(_gib_text, lambda value: f"{value:.3g}")
SPEED_UNIT = Unit(_speed_text, NUMBER.axis)

Value = Callable[[Estimate, Estimate], float]
"""A figure of an estimate; the second one is that of the smallest cluster."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart: its name, the figure it draws, how it is written, and the ends of its axis."""

    title: str
    value: Value
    unit: Unit
    top: float | None = None
    logarithmic: bool = False


CURVES: dict[str, Curve] = {
    "curve-memory": Curve("Memory per GPU", lambda e, _: e.memory.total / GIB, GIB_UNIT),
    "curve-speed": Curve("Throughput", lambda e, _: e.tokens_s, SPEED_UNIT, logarithmic=True),
    "curve-comm": Curve("Communication", lambda e, _: e.communication_share, FRACTION),
    "curve-scaling": Curve(
        "Scaling efficiency", lambda e, base: e.tokens_s_gpu / base.tokens_s_gpu, FRACTION, top=1.0
    ),
}


def curve_view(name: str, shown: Answer, note: str = "") -> CurvesView:
    """One of the four charts."""
    curve, plan = CURVES[name], shown.plan
    thresholds: tuple[Threshold, ...] = ()
    if name == "curve-memory":
        thresholds = (Threshold(plan.limit_bytes / GIB, "limit"),)
    base = scaling_base(shown.fixed) or shown.estimate
    now = curve.value(shown.estimate, base)
    at = math.log2(plan.cluster.gpus)
    marks = (Mark(at, f"{plan.cluster.gpus}"),) if at <= LAST else ()
    return CurvesView(
        panel_title(curve.title, note),
        (
            _series("batch kept", shown.fixed, curve.value, Stroke.LINE),
            _series("batch grows", shown.growing, curve.value, Stroke.DOTTED),
        ),
        LAST,
        line(muted(f"{plan.cluster.gpus} GPUs "), strong(curve.unit.text(now))),
        thresholds,
        marks,
    )


def _series(name: str, points: tuple[Point, ...], value: Value, stroke: Stroke) -> Series:
    base = scaling_base(points)
    known = [
        (math.log2(point.gpus), value(point.estimate, base))
        for point in points
        if point.estimate is not None and base is not None
    ]
    return Series(name, [at for at, _ in known], [figure for _, figure in known], stroke)
