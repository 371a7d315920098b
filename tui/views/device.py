"""What the GPU and the CPU panel share: labels, the parts of the engine's memory, key figures."""

from collections.abc import Sequence

from ...engine.protocol import Averages, Frame, HostSample, Memory
from ...engine.protocol.wording import counted
from ..drawing.line import EMPTY, Line, Piece, line, muted
from ..drawing.meter import Part, stacked_legend
from ..state.moment import STALE_AFTER_S, Moment
from ..style.formatting import binary_bytes, percent
from ..style.inks import Ink
from .limit import limit_line
from .panel import Room, figure

LABEL_WIDTH = 7

Ranked = tuple[int, Line]
"""A line and its rank: where rows are scarce the highest ranks are left out."""


def label(text: str) -> Piece:
    return muted(text.ljust(LABEL_WIDTH))


def most_needed(lines: Sequence[Ranked], height: int) -> tuple[Line, ...]:
    """As many lines as there are rows, the most needed ones, in their order."""
    filled = [ranked for ranked in lines if ranked[1] != EMPTY]
    chosen = sorted(filled, key=lambda ranked: ranked[0])[:height]
    limit = chosen[-1][0] if chosen else 0
    return tuple(content for rank, content in filled if rank <= limit)[:height]


def sample_age_s(moment: Moment) -> float | None:
    """The age of the probe's figures when they are too old to pass for current."""
    if moment.paused or moment.host_age_s is None or moment.host_age_s <= STALE_AFTER_S:
        return None
    return moment.host_age_s


def limit(frame: Frame | None, room: Room) -> Line:
    """What binds the engine now; empty before it is known."""
    return limit_line(frame, line(label("limit")), room)


def ceilings(moment: Moment) -> Line:
    """How much of the device's measured bandwidth and matmul peak is used, over the window."""
    averages: Averages | None = moment.averages
    return line(
        figure("MBU", percent(averages.mbu if averages else None, width=5)),
        "  ",
        figure("MFU", percent(averages.mfu if averages else None, width=5)),
    )


def memory_parts(memory: Memory) -> tuple[Part, ...]:
    """What the engine's memory on its device consists of, as far as the engine can tell."""
    sizes = (
        ("weights", memory.weights_bytes, 0),
        # At the checkpoint's own precision the weights are the master copy: nothing to show.
        ("master", memory.master_bytes or None, 5),
        ("KV", memory.kv_bytes, 1),
        ("graphs", memory.graphs_bytes, 6),
        ("workspace", memory.workspace_bytes, 2),
        ("other", memory.other_bytes, 3),
    )
    return tuple(Part(name, size, style) for name, size, style in sizes if size is not None)


def memory_legend(memory: Memory, room: Room) -> list[Line]:
    """The parts by name and size, in one line or two; where that is too narrow, two to a line."""
    parts = memory_parts(memory)
    for to_a_line in (len(parts), -(-len(parts) // 2)):
        lines = _legend_lines(parts, to_a_line, room)
        if all(row.width <= room.width for row in lines):
            return lines
    narrow = _legend_lines(parts, 2, room)
    return [row if row.width <= room.width else _tight(row) for row in narrow]


def _legend_lines(parts: Sequence[Part], to_a_line: int, room: Room) -> list[Line]:
    groups = [parts[first : first + to_a_line] for first in range(0, len(parts), to_a_line)]
    return [
        stacked_legend(group, [binary_bytes(part.amount) for part in group], room.glyphs)
        for group in groups
    ]


def _tight(legend: Line) -> Line:
    """A narrow legend writes its units short."""
    short = [
        piece._replace(text=piece.text.replace(" GiB", "G").replace(" MiB", "M"))
        for piece in legend.pieces
    ]
    return line(*short)


def cores_of(host: HostSample) -> str:
    """` of 96 cores`, where they are known."""
    return "" if host.cpu_count is None else f" of {counted(host.cpu_count, 'core')}"


def cores(number: float | None) -> str:
    """CPU use of a process: `1.02 cores`."""
    return "-- cores" if number is None else f"{number:.2f} cores"


def heat_ink(celsius: float | None, *, hot: float = 80.0, too_hot: float = 88.0) -> Ink:
    """Temperatures that deserve a look are coloured."""
    if celsius is None or celsius < hot:
        return Ink.TEXT
    return Ink.BAD if celsius >= too_hot else Ink.WARN
