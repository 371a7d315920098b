"""Load curves: throughput against latency as the load grows, the knee, and what limits allow."""

from collections.abc import Callable, Sequence

import msgspec

from ..protocol import LoadSpec
from .cells import Cell, Comparison, Measured, label, load_label
from .median import Median, Verdict, compare, median
from .metrics import METRICS, Repeat, summary
from .samples import NO_LIMITS, Limits, little
from .wording import Unit, digits, figure

LATENCY = "e2e_p95_ms"
"""What a curve shows against throughput unless asked otherwise."""


class LoadPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One load of a curve. `power`: requests/s over the latency in seconds, of each repeat."""

    load: LoadSpec
    label: str
    req_s: Median
    output_tok_s: Median | None
    latency_ms: Median | None
    power: Median | None
    goodput_req_s: Median | None
    in_system: Median | None
    rate_times_residence: Median | None
    within_limits: bool | None
    """Whether the p95 of every limited latency keeps its limit; `None` without limits, or data."""


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """Where power is highest: `first` … `last` are the points that no measurement tells apart.

    `inside`: the curve was measured beyond it on both sides.
    """

    first: int
    best: int
    last: int
    inside: bool
    explanation: str


class AtLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The most requests a second that were measured within the limits. `beyond`: the load at which
    they were missed next; `None` where none that was measured missed them."""

    req_s: Median | None
    load: str | None
    beyond: str | None


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One cell over its loads, the lightest first. `cell` has the lightest load; `None` of a server
    that is not ours to set."""

    cell: Cell | None
    label: str
    latency: str
    points: list[LoadPoint]
    knee: Knee | None
    at_limits: AtLimits | None


def curves(
    comparison: Comparison, *, limits: Limits = NO_LIMITS, latency: str = LATENCY
) -> list[Curve]:
    """A curve for every cell that has results under two loads of a kind, or more."""
    groups: dict[tuple[object, ...], list[Measured]] = {}
    for each in comparison.measured():
        groups.setdefault(_but_load(each.cell), []).append(each)
    firsts = [group[0].cell for group in groups.values()]
    return [
        _curve(comparison, group, firsts, limits, latency)
        for group in groups.values()
        if len(group) > 1
    ]


def _but_load(cell: Cell) -> tuple[object, ...]:
    """What the points of one curve share: the cell, and the kind of the load."""
    load = cell.load.with_amount(1)
    if cell.load.trace is None:
        load = msgspec.structs.replace(load, users=0, rate_per_s=None)
    is_open = cell.load.is_open
    return cell.strategy, cell.precision, cell.max_seqs, cell.drafts, is_open, load


def offered(load: LoadSpec) -> float:
    """Requests a second of an open loop, users of a closed one, the speed of a trace."""
    return load.amount


def _curve(
    comparison: Comparison,
    group: Sequence[Measured],
    firsts: Sequence[Cell],
    limits: Limits,
    latency: str,
) -> Curve:
    ordered = sorted(group, key=lambda each: offered(each.cell.load))
    points = [
        point
        for each in ordered
        if (point := _point(comparison, each, limits, latency)) is not None
    ]
    cell = ordered[0].cell
    alike = [msgspec.structs.replace(each, load=cell.load) for each in firsts]
    return Curve(
        cell=cell,
        label=label(cell, alike),
        latency=latency,
        points=points,
        knee=knee(points, METRICS[latency].label),
        at_limits=at_limits(points) if limits.given() else None,
    )


def _point(
    comparison: Comparison, measured: Measured, limits: Limits, latency: str
) -> LoadPoint | None:
    def of(name: str) -> Median | None:
        return summary(comparison, measured, METRICS[name], limits)

    req_s = of("req_s")
    if req_s is None:
        return None
    read = METRICS[latency].read
    powers = [
        result.req_s / (latency_ms / 1e3)
        for result in measured.repeats
        if (latency_ms := read(Repeat(result=result)))
    ]
    both = [found for result in measured.repeats if (found := little(result.samples or []))]
    return LoadPoint(
        load=measured.cell.load,
        label=load_label(measured.cell.load),
        req_s=req_s,
        output_tok_s=of("output_tok_s"),
        latency_ms=of(latency),
        power=median(powers),
        goodput_req_s=of("goodput_req_s"),
        in_system=median([each.in_system for each in both]),
        rate_times_residence=median([each.rate_times_residence for each in both]),
        within_limits=_within(of, limits),
    )


def _within(of: Callable[[str], Median | None], limits: Limits) -> bool | None:
    """Whether the median of every limited latency's p95 keeps its limit."""
    verdicts: list[bool] = []
    for name, limit in limits.given().items():
        found = of(name.replace("_ms", "_p95_ms"))
        if found is None:
            return None
        verdicts.append(found.value <= limit)
    return all(verdicts) if verdicts else None


def knee(points: Sequence[LoadPoint], latency: str) -> Knee | None:
    """The point of the highest power: throughput over latency (L. Kleinrock, Power and
    deterministic rules of thumb for probabilistic problems in computer communications, ICC 1979).

    Up to it a heavier load brings more throughput than latency, in ratio; beyond it less. It needs
    no threshold. Neighbours whose power cannot be told from the best one's belong to it. `None` for
    fewer than three points with a latency: two have no shape.
    """
    known = [(index, point.power) for index, point in enumerate(points) if point.power is not None]
    if len(known) < 3:
        return None
    place = max(range(len(known)), key=lambda index: known[index][1].value)
    first = last = place
    top = known[place][1]
    while first > 0 and _same(known[first - 1][1], top):
        first -= 1
    while last < len(known) - 1 and _same(known[last + 1][1], top):
        last += 1
    inside = first > 0 and last < len(known) - 1
    indices = [index for index, _ in known]
    return Knee(
        first=indices[first],
        best=indices[place],
        last=indices[last],
        inside=inside,
        explanation=_explain(points, indices, (first, place, last), latency),
    )


def _same(one: Median, top: Median) -> bool:
    return compare(one, top) in (Verdict.NO_DIFFERENCE, Verdict.UNDECIDED)


def _explain(
    points: Sequence[LoadPoint], indices: Sequence[int], place: tuple[int, int, int], latency: str
) -> str:
    first, best, last = (points[indices[each]] for each in place)
    span = best.label if first is last else f"{first.label} … {last.label}"
    if place[2] == len(indices) - 1:
        return (
            f"no knee up to {last.label}: requests/s per second of {latency} are highest at {span}"
        )
    words = f"knee at {span}: the most requests/s per second of {latency}"
    beyond = points[indices[place[2] + 1]]
    words += f"; from {last.label} to {beyond.label} throughput grows"
    words += f" ×{digits(beyond.req_s.value / last.req_s.value)}" if last.req_s.value else " ?"
    if last.latency_ms is not None and beyond.latency_ms is not None and last.latency_ms.value:
        words += f" and {latency} ×{digits(beyond.latency_ms.value / last.latency_ms.value)}"
    if place[0] == 0:
        words += "; no lighter load is measurably worse"
    return words


def at_limits(points: Sequence[LoadPoint]) -> AtLimits:
    """The highest throughput among the points that keep the limits."""
    inside = [index for index, point in enumerate(points) if point.within_limits]
    if not inside:
        return AtLimits(req_s=None, load=None, beyond=points[0].label if points else None)
    best = max(inside, key=lambda index: points[index].req_s.value)
    beyond = next((each.label for each in points[best + 1 :] if each.within_limits is False), None)
    return AtLimits(req_s=points[best].req_s, load=points[best].label, beyond=beyond)


def describe_at_limits(found: AtLimits) -> str:
    """`12.3 req/s at 16 users; missed at 32 users`."""
    if found.req_s is None:
        return "the limits are missed at every load that was measured"
    words = f"{figure(found.req_s.value, Unit.REQUESTS_PER_S)} at {found.load}"
    return f"{words}; missed at {found.beyond}" if found.beyond else f"{words}; none beyond missed"
