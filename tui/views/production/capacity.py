"""How many requests a second one GPU takes, by two ways, and how many GPUs the target needs."""

from collections.abc import Sequence

from ....engine.compare.curves import Curve, LoadPoint
from ....engine.compare.median import Median
from ....engine.compare.metrics import METRICS
from ....engine.compare.wording import Unit
from ....engine.compare.wording import figure as worded
from ....engine.cost.capacity import ByCurve, Capacity, by_curve
from ...drawing.line import EMPTY, Line, Piece, in_glyphs, line, muted, strong, wrapped
from ...state.capacity import measured_curve
from ...state.moment import Moment
from ...style.formatting import MISSING, dollars
from ...style.inks import Ink
from ..compare.matrix import progress_line
from ..panel import Room, Row, RowsView, figure, value, waiting_line, windowed
from ..table import Column, table

NO_TARGET = "no target: capacity.requests_per_s in config.toml sets one"


def capacity_view(capacity: Capacity, moment: Moment, room: Room, key: str) -> RowsView:
    """Both estimates of what is served; `key` measures the load curve."""
    title = windowed("Capacity", moment)
    if moment.frame is None:
        return RowsView(title, rows=(Row(waiting_line(moment, room)),))
    found = [_head(capacity, room), EMPTY, *_estimates(capacity, moment, room), EMPTY]
    found += _wrapped(_curve_words(capacity, moment, key), room)
    found += _wrapped(_little_words(capacity), room)
    if capacity.disagreement is not None:
        found += [EMPTY, *_wrapped(capacity.disagreement, room, Ink.TEXT)]
    return RowsView(
        title, figures=_figures(capacity, moment, room), rows=tuple(Row(each) for each in found)
    )


def curve_view(moment: Moment, room: Room, key: str) -> RowsView:
    """The load curve of what is served: a row for each load that was measured."""
    title = line(Piece("Load curve", Ink.TITLE))
    curve = None if moment.frame is None else measured_curve(moment, moment.frame)
    figures = progress_line(moment.load_curve, room) if moment.load_curve.running else EMPTY
    if curve is None:
        words = line(" ", Piece(key, Ink.ACCENT), muted(" measures it; the live load waits"))
        return RowsView(title, figures=figures, rows=(Row(room.clipped(words)),))
    found, points = by_curve(curve), curve.points
    columns = [
        Column("load", [line(point.label) for point in points], right=False),
        Column("requests/s", [_median(point.req_s, Unit.REQUESTS_PER_S) for point in points]),
        Column(
            METRICS[curve.latency].label,
            [_median(point.latency_ms, Unit.MS) for point in points],
            rank=1,
        ),
        Column("limits", [_within(point, room) for point in points], rank=2),
        Column("", [_marks(curve, place, found) for place in range(len(points))], right=False),
    ]
    head, rows = table(columns, room.width - 1)
    return RowsView(
        title,
        figures=figures,
        head=(line(" ", head),),
        rows=tuple(Row(room.clipped(line(" ", each))) for each in rows),
    )


def _median(found: Median | None, unit: Unit) -> Piece:
    return value(worded(None if found is None else found.value, unit, with_unit=unit is Unit.MS))


def _within(point: LoadPoint, room: Room) -> Piece:
    """Whether a load keeps the limits of `[slo]`."""
    if point.within_limits is None:
        return value(MISSING)
    if point.within_limits:
        return Piece(room.glyphs.check, Ink.OK)
    return Piece(room.glyphs.cross, Ink.BAD)


def _marks(curve: Curve, place: int, found: ByCurve | None) -> Line:
    """Which load is taken, and where the knee is."""
    marks = []
    if found is not None and curve.points[place].label == found.load:
        marks.append(Piece("taken ", Ink.ACCENT))
    if curve.knee is not None and curve.knee.first <= place <= curve.knee.last:
        marks.append(muted("knee"))
    return line(*marks)


def _figures(capacity: Capacity, moment: Moment, room: Room) -> Line:
    """How far measuring is, else the GPUs that the target needs."""
    if moment.load_curve.running:
        return progress_line(moment.load_curve, room)
    needed = capacity.gpus_by_curve
    return figure("GPUs", MISSING if needed is None else f"{needed:,}")


def _head(capacity: Capacity, room: Room) -> Line:
    if capacity.target_req_s is None:
        return room.clipped(line(" ", muted(NO_TARGET)))
    return line(" ", muted("target "), strong(worded(capacity.target_req_s, Unit.REQUESTS_PER_S)))


def _estimates(capacity: Capacity, moment: Moment, room: Room) -> Sequence[Line]:
    """A row for each way: what one GPU takes, how many are needed, what they cost."""
    curve, little = capacity.by_curve, capacity.by_little
    least = "at least " if curve is not None and curve.at_least else ""
    req_s = [
        MISSING if curve is None else f"{least}{worded(curve.req_s, Unit.REQUESTS_PER_S)}",
        MISSING if little is None else worded(little.req_s, Unit.REQUESTS_PER_S),
    ]
    gpus = [capacity.gpus_by_curve, capacity.gpus_by_little]
    price = None if moment.frame is None else moment.billing.rates_of(moment.frame).usd_per_hour
    costs = [None if n is None or price is None else n * price for n in gpus]
    head, rows = table(
        [
            Column("", ["load curve", "Little's law"], right=False),
            Column("one GPU", [line(value(each, Ink.STRONG)) for each in req_s]),
            Column("GPUs", [line(value(MISSING if n is None else f"{n:,}")) for n in gpus]),
            Column("rent/h", [line(value(dollars(each))) for each in costs], rank=1),
        ],
        room.width - 1,
    )
    return [line(" ", each) for each in (head, *rows)]


def _curve_words(capacity: Capacity, moment: Moment, key: str) -> str:
    """What the curve's figure stands on, or what measures it."""
    curve = capacity.by_curve
    if curve is not None:
        return f"load curve: {curve.load}, {curve.reason}; measured without other load"
    if moment.load_curve.comparison is None:
        return f"load curve: not measured; {key} measures it at five loads around the present one"
    return f"load curve: none of what is served now within the limits; {key} measures it"


def _little_words(capacity: Capacity) -> str:
    little = capacity.by_little
    if little is None:
        return "Little's law: no request ended in this window"
    stay = worded(little.residence_s, Unit.S)
    return (
        f"Little's law: {little.slots} at once, each for {stay} as now; an upper bound, since"
        " requests stay longer under more load"
    )


def _wrapped(text: str, room: Room, ink: Ink = Ink.MUTED) -> list[Line]:
    rows = wrapped(in_glyphs(text, room.glyphs), max(10, room.width - 2))
    return [line(" ", Piece(each, ink)) for each in rows]
