"""The load in words: what is asked of the engine, and how far a trace is that is played."""

from collections.abc import Iterator

from rich.cells import cell_len

from ...engine.protocol import Frame, LoadSpec, TraceProgress, describe_load
from ..drawing.line import EMPTY, Line, Piece, in_glyphs, line, muted, rule
from ..drawing.meter import level
from ..state.actions import load_level
from ..state.moment import Moment
from ..style.formatting import count, exact, milliseconds, percent
from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .panel import Room, value

METER_CELLS = (8, 4, 0)
"""Of the load's meter: as many as fit."""
SHORT_NAME = 14
"""Cells that a trace's name is cut to where there is little room."""


def load_lines(moment: Moment, room: Room) -> list[Line]:
    """`load ▮▮▮▯ 32 users`, or of a trace `load ▮▯ trace conv.csv ×2 · 38 % · dispatch p99 3 ms`,
    the fullest first; none before there is a load."""
    frame = moment.frame
    load = moment.pending.load or (frame.load if frame else None)
    if load is None:
        return []
    ink = Ink.MARK if moment.pending.load else Ink.STRONG
    meters = [
        line(level(load_level(load), cells, room.glyphs, "app.load_level"), " ") if cells else EMPTY
        for cells in METER_CELLS
    ]
    return [
        line(muted("load "), meter, words)
        for words in _words(load, frame, ink, room.glyphs)
        for meter in meters
    ]


def _words(load: LoadSpec, frame: Frame | None, ink: Ink, glyphs: Glyphs) -> Iterator[Line]:
    """The load in words, the longest first."""
    dot = rule(f" {glyphs.dot} ")
    words = line(Piece(in_glyphs(describe_load(load), glyphs), ink))
    trace, progress = load.trace, frame.trace if frame else None
    if trace is None or load.paused:
        yield words
        return
    if progress is not None and frame is not None:
        played = line(words, dot, *_played(progress))
        delay = None if frame.dispatch is None else frame.dispatch.p99_ms
        yield line(played, dot, muted("dispatch p99 "), milliseconds(delay))
        yield played
    name = trace.name
    while cell_len(name) > SHORT_NAME - 1:
        name = name[:-1]
    short = name if name == trace.name else name + glyphs.ellipsis
    speed = in_glyphs(f"{short} ×{trace.speed:g}", glyphs)
    if progress is not None:
        yield line(Piece(speed, ink), dot, percent(progress.fraction))
    yield words
    yield line(Piece(speed, ink))
    yield line(Piece(in_glyphs(f"trace ×{trace.speed:g}", glyphs), ink))


def _played(progress: TraceProgress) -> list[Line | Piece | str]:
    if progress.round == 1:
        return [percent(progress.fraction)]
    return [muted("round "), exact(progress.round), muted(", "), percent(progress.fraction)]


def trace_lines(frame: Frame, room: Room) -> list[Line]:
    """Of a trace: what has arrived, how late it was submitted, and what was made shorter. Of a
    recording: how much is written. Nothing without either."""
    lines: list[Line] = []
    progress, delay = frame.trace, frame.dispatch
    if progress is not None:
        arrived = line(value(count(progress.arrived)), muted(" of "), count(progress.entries))
        facts = [line(muted("trace "), arrived)]
        if delay is not None:
            p50, p99 = milliseconds(delay.p50_ms), milliseconds(delay.p99_ms)
            facts.append(line(muted("dispatch p50 "), value(p50), muted(" p99 "), value(p99)))
        clipped = progress.clipped_prompts + progress.clipped_outputs
        if clipped:
            facts.append(line(Piece(f"{count(clipped)} cut to fit", Ink.WARN)))
        lines.append(room.facts(facts))
    recording = frame.recording
    if recording is not None:
        stopped = recording.stopped
        written = line(muted("recording "), value(count(recording.requests)), muted(" requests"))
        why = line(Piece(f"stopped: {stopped}", Ink.WARN)) if stopped else EMPTY
        lines.append(room.facts([written, why] if stopped else [written]))
    return lines
