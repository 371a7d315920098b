"""How many GPUs the load needs: the curve that was measured here, beside Little's law now."""

import msgspec

from ...engine.compare.cells import Cell, Comparison, Measured, Work
from ...engine.compare.curves import Curve, curves
from ...engine.cost.capacity import Capacity, by_curve, by_little
from ...engine.protocol import Frame, LoadSpec, PrecisionName, StrategyName, Window, own_setting
from ...engine.protocol.errors import BadInputError
from .compare import limits_of
from .moment import Moment

FACTORS = (0.25, 0.5, 1, 2, 4)
"""Of the present load: what a curve is measured at."""
LEAST_REQUESTS, MOST_REQUESTS = 32, 256
WARM_UP_REQUESTS = 4


def loads_around(load: LoadSpec) -> list[LoadSpec]:
    """The loads of a curve through the present one, the lightest first.

    Every token that is asked for is generated, so that all do the same work. Raises
    `BadInputError` for a load without arrivals of its own kind: none, or a trace.
    """
    if load.trace is not None:
        raise BadInputError("a trace has its own arrivals: set users or a rate to measure a curve")
    if load.paused or not (load.is_open or load.users):
        raise BadInputError("there is no load to measure a curve through: add some first")
    steady = msgspec.structs.replace(load, ignore_eos=True, ramp=None, burst=None)
    amounts = [load.amount * factor for factor in FACTORS]
    if not load.is_open:
        amounts = [float(max(1, round(amount))) for amount in amounts]
    return [steady.with_amount(amount) for amount in dict.fromkeys(amounts)]


def asked_curve(frame: Frame) -> Comparison:
    """What is served, under loads around the present one. Raises `BadInputError`."""
    setting = own_setting(frame)
    loads = loads_around(setting.load)
    most = max(load.users for load in loads)
    work = Work(
        model=frame.model.name,
        device=frame.device_name or frame.device,
        load_format="auto",
        requests=min(max(LEAST_REQUESTS, 2 * most), MOST_REQUESTS),
        warmup=WARM_UP_REQUESTS,
        max_seqs=setting.max_seqs,
    )
    cells = [
        Measured(cell=Cell(strategy=setting.strategy, precision=setting.precision, load=load))
        for load in loads
    ]
    return Comparison(work=work, cells=cells)


def served_curve(comparison: Comparison | None, frame: Frame) -> Curve | None:
    """The curve of what is served among those of a comparison; `None` where it has none."""
    if comparison is None or comparison.work.model != frame.model.name:
        return None
    served = frame.strategy, frame.precision
    found = curves(comparison, limits=limits_of(frame.slo))
    return next((each for each in found if each.cell and _place(each.cell) == served), None)


def _place(cell: Cell) -> tuple[StrategyName, PrecisionName]:
    return cell.strategy, cell.precision


def measured_curve(moment: Moment, frame: Frame) -> Curve | None:
    """The load curve of what is served, as far as it was measured here."""
    return served_curve(moment.load_curve.comparison, frame)


def capacity(moment: Moment) -> Capacity:
    """Both estimates for one GPU as it serves, and what the target of `[capacity]` needs."""
    target = moment.billing.capacity.requests_per_s
    if moment.frame is None:
        return Capacity(target_req_s=target, by_curve=None, by_little=None)
    return capacity_of(moment.frame, moment.window, moment.load_curve.comparison, target)


def capacity_of(
    frame: Frame, window: Window, measured: Comparison | None, target_req_s: float | None
) -> Capacity:
    """Both estimates: the curve of what is served, if that was `measured`, and Little's law.

    Little's law takes the mean E2E of the window, and as many slots as run at once.
    """
    curve = served_curve(measured, frame)
    latency = frame.latency.get(window)
    e2e = None if latency is None else latency.e2e
    slots = frame.queue.running_limit or frame.max_seqs
    mean_ms = None if e2e is None else e2e.mean_ms
    return Capacity(
        target_req_s=target_req_s,
        by_curve=None if curve is None else by_curve(curve),
        by_little=by_little(slots, None if mean_ms is None else mean_ms / 1e3),
    )
