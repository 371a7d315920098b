"""The bars at the bottom: strategies, precisions and load, what is in use and what is pending."""

from ...engine.protocol import Attached, Frame, Memory, PrecisionName, StrategyName
from ..drawing.line import EMPTY, Line, Piece, ends, facts, first_fitting, line, muted, rule
from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..state.server import ServerPhase
from ..style.formatting import binary_bytes, exact
from ..style.inks import Ink
from .load import load_lines
from .panel import Room, value

WIDE = 76
"""From this width on every strategy is named; below only the one in use."""

CACHING = {
    StrategyName.CACHED: "prefix + response cache",
    StrategyName.HYBRID: "prefix + response cache",
}
ADMISSION = {
    StrategyName.SINGLE: "one at a time",
    StrategyName.BATCHED: "whole batches",
}
STREAMING = frozenset({StrategyName.STREAMING, StrategyName.HYBRID})


def control_lines(moment: Moment, room: Room, keymap: Keymap) -> tuple[Line, Line]:
    """Two lines: strategies with what the one in use is doing; precisions with the load."""
    strategies = _strategies(moment, keymap, room)
    doing = _doing(moment, room, room.width - strategies.width - 3)
    precisions = _precisions(moment, room)
    load = first_fitting(_traffic(moment, room), room.width - precisions.width - 3)
    reason = _reason(moment, room.width - precisions.width - load.width - 6)
    left = line(precisions, "  ", reason) if reason.pieces else precisions
    return (
        ends(strategies, line(doing, " "), room.width),
        ends(left, line(load, " "), room.width),
    )


def _strategies(moment: Moment, keymap: Keymap, room: Room) -> Line:
    if moment.frame is not None and moment.frame.attached is not None:
        return _attached(moment.frame.attached)
    current = moment.frame.strategy if moment.frame else None
    items = []
    for name in StrategyName:
        key = keymap.first_key(f"strategy_{name.value}")
        is_current, is_pending = name == current, name == moment.pending.strategy
        named = room.width >= WIDE or is_current or is_pending
        text = f"{key} {name}".strip() if named else key
        item = _item(text, current=is_current, pending=is_pending)
        items.append(item._replace(click=f"app.strategy('{name}')"))
    return line(*items)


def _attached(server: Attached) -> Line:
    """Where strategies stand of our own engine: which server is watched."""
    version = f" {server.version}" if server.version else ""
    return line(value(f"{server.kind}{version}"), "  ", muted(server.url))


def _item(text: str, *, current: bool, pending: bool) -> Piece:
    """One choice, always of the same width: brackets say which is in use, without any colour."""
    if current:
        return Piece(f"[{text}]", Ink.SELECTED)
    if pending:
        return Piece(f">{text}<", Ink.MARK)
    return muted(f" {text} ")


def _precisions(moment: Moment, room: Room) -> Line:
    frame, pending = moment.frame, moment.pending
    if frame is not None and frame.attached is not None:
        return line(muted("its own settings are not told"))
    reasons = {status.name: status.reason for status in frame.precisions} if frame else {}
    return line(
        *(
            _precision(name, frame, pending.precision, pending.tried, reasons, room)._replace(
                click=f"app.choose_precision('{name}')"
            )
            for name in PrecisionName
        )
    )


def _precision(
    name: PrecisionName,
    frame: Frame | None,
    pending: PrecisionName | None,
    tried: PrecisionName | None,
    reasons: dict[PrecisionName, str | None],
    room: Room,
) -> Piece:
    if frame is not None and (name not in reasons or reasons[name] is not None):
        return Piece(f" {name}{room.glyphs.cross}", Ink.WARN if name == tried else Ink.FAINT)
    return _item(
        name, current=frame is not None and name == frame.precision, pending=name == pending
    )


def _reason(moment: Moment, width: int) -> Line:
    """Why the precision that `[` `]` stand on cannot be had; else what the one in use weighs."""
    frame = moment.frame
    if frame is None:
        return EMPTY
    tried = next((s for s in frame.precisions if s.name == moment.pending.tried), None)
    if tried is not None and tried.reason:
        return first_fitting((line(Piece(tried.reason, Ink.WARN)),), width)
    return first_fitting(_weights(frame.memory), width) if frame.memory else EMPTY


def _weights(memory: Memory) -> list[Line]:
    """What the weights weigh, with the reason where a head is in them twice."""
    weights = line(muted("weights "), binary_bytes(memory.weights_bytes))
    if not memory.head_copy_bytes:
        return [weights]
    copy = binary_bytes(memory.head_copy_bytes)
    return [
        line(weights, muted(f", {copy} of them the head packed again")),
        line(weights, muted(f", {copy} head copy")),
        weights,
    ]


def _doing(moment: Moment, room: Room, width: int) -> Line:
    """What the strategy in use is doing: `32 running · prefix + response cache · per token`."""
    frame = moment.frame
    if frame is None:
        return EMPTY
    strategy = frame.strategy
    if strategy is None:
        return facts([line(exact(frame.queue.running), muted(" running"))], width, room.glyphs)
    parts = [
        line(exact(frame.queue.running), muted(" running")),
        line(muted("per token" if strategy in STREAMING else "at the end")),
        line(muted(CACHING.get(strategy) or ADMISSION.get(strategy, "refilled each step"))),
    ]
    waste = frame.throughput.batch_waste
    if waste:
        parts.append(line(Piece(f"{waste * 100:.0f} % wasted", Ink.WARN)))
    return facts(parts, width, room.glyphs)


def _traffic(moment: Moment, room: Room) -> list[Line]:
    """Where requests come from: the server, if there is one, and the load; the fullest first."""
    loads = load_lines(moment, room) or [EMPTY]
    served = _server(moment, room)
    beside = [line(each, "   ", load) for each in served for load in loads]
    return [*beside, *served, *loads]


def _server(moment: Moment, room: Room) -> list[Line]:
    """`:8000 · 12 streams`, and without the dot where it is narrow."""
    server = moment.server
    if server is None:
        return []
    port = "server" if server.port is None else f":{server.port}"
    ink = Ink.BAD if server.phase is ServerPhase.DOWN else Ink.STRONG
    traffic = Piece(server.traffic, ink)
    dot = rule(f" {room.glyphs.dot} ")
    return [line(muted(port), dot, traffic), line(muted(port), " ", traffic)]
