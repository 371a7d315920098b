"""Curves against the number of GPUs: memory, throughput, communication, scaling efficiency.

The form's own layout is drawn with as many replicas as fill the cluster, and each strategy at its
best on every cluster, as the search finds it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ....engine.planner.cost.estimate import Estimate
from ....engine.planner.search.strategies import STRATEGIES
from ....engine.protocol.wording import counted
from ...drawing.chart_data import Mark, Place, Series, Stroke, Threshold
from ...drawing.line import line, muted, strong
from ...planner.evaluation import GPU_COUNTS, Evaluation, Point
from ...planner.search_state import Searched
from ...planner.units import GIB, gib
from ...style.formatting import FRACTION, MISSING, NUMBER, Unit, si
from ...style.inks import Ink
from ..panel import CurvesView
from .common import panel_title

PLACES = tuple(Place(math.log2(gpus), str(gpus)) for gpus in GPU_COUNTS)
LAST = PLACES[-1].at
STROKES = (Stroke.DOTTED, Stroke.DASHED, Stroke.LINE, Stroke.DASHED, Stroke.DOTTED)
"""Of the strategies, so that curves that lie on one another can be told apart."""


SHORT = {"pipeline": "Pipe"}
"""Names that leave a legend room in a narrow chart."""


def _gib_text(value: float | None) -> str:
    return MISSING if value is None else f"{gib(value * GIB)} GiB"


def _speed_text(value: float | None) -> str:
    return f"{si(value)} tok/s"


GIB_UNIT = Unit(_gib_text, lambda value: f"{value:.3g}")
SPEED_UNIT = Unit(_speed_text, NUMBER.axis)

Value = Callable[[Estimate, float], float]
"""A figure of an estimate; the second argument is the speed per GPU to compare with."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart: its name, the figure it draws, how it is written, and its axis."""

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
        "Scaling efficiency", lambda e, base: e.tokens_s_gpu / base, FRACTION, top=1.2
    ),
}


def curve_view(
    name: str, evaluation: Evaluation, searched: Searched | None, *, growing: bool
) -> CurvesView:
    """One of the four charts. `growing`: the batch grows with the cluster, else it is kept."""
    curve, plan = CURVES[name], evaluation.plan
    gpus = plan.cluster.gpus
    thresholds: tuple[Threshold, ...] = ()
    if name == "curve-memory":
        thresholds = (Threshold(plan.limit_bytes / GIB, f"limit {gib(plan.limit_bytes)}"),)
    if name == "curve-scaling":
        thresholds = (Threshold(1.0, "linear", Ink.FAINT),)
    own = evaluation.growing if growing else evaluation.fixed
    points_by_strategy = searched.points if searched is not None else {}
    base = _base([own, *points_by_strategy.values()]) or evaluation.estimate.tokens_s_gpu
    at = math.log2(gpus)
    series = [_series("yours", own, curve.value, base, Stroke.LINE, 0)]
    for place, (key, strategy) in enumerate(STRATEGIES.items(), start=1):
        if points := points_by_strategy.get(key):
            stroke = STROKES[place - 1]
            series.append(
                _series(SHORT.get(key, strategy.name), points, curve.value, base, stroke, place)
            )
    now = curve.unit.text(curve.value(evaluation.estimate, base))
    batch = f"batch {plan.batch / gpus:g} a GPU" if growing else f"batch {plan.batch}"
    return CurvesView(
        line(panel_title(curve.title), muted(f"  {batch}")),
        series,
        LAST,
        line(muted(f"{counted(gpus, 'GPU')} "), strong(now)),
        thresholds,
        (Mark(at, f"{gpus}"),) if at <= LAST else (),
        "GPU",
    )


def _base(curves: Iterable[Sequence[Point]]) -> float | None:
    """Speed per GPU on the smallest cluster that runs any of the layouts: what scaling is measured
    against."""
    estimated = [
        (point.gpus, -point.estimate.tokens_s_gpu)
        for points in curves
        for point in points
        if point.estimate is not None
    ]
    return -min(estimated)[1] if estimated else None


def _series(
    name: str, points: Sequence[Point], value: Value, base: float, stroke: Stroke, ink: int
) -> Series:
    places = [
        (math.log2(point.gpus), value(point.estimate, base))
        for point in points
        if point.estimate is not None
    ]
    return Series(name, [at for at, _ in places], [figure for _, figure in places], stroke, ink=ink)
