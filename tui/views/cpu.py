"""The device panel of a machine without an NVIDIA GPU: CPU and memory, and why there is no GPU."""

from ...engine.protocol import HostSample, Memory
from ..drawing.line import Line, line, muted
from ..drawing.meter import gauge, stacked
from ..state.moment import Moment
from ..style.formatting import binary_bytes, bytes_pair, percent
from ..style.inks import Ink
from .device import (
    LABEL_WIDTH,
    Ranked,
    ceilings,
    cores,
    cores_of,
    label,
    limit,
    memory_legend,
    memory_parts,
    most_needed,
    sample_age_s,
)
from .panel import PanelView, Room, aged, value

LOW_MEMORY, NO_MEMORY = 0.85, 0.95


def cpu_view(moment: Moment, host: HostSample, room: Room) -> PanelView:
    """CPU, memory, the engine's share, and a plain word that there is no GPU."""
    age_s = sample_age_s(moment)
    memory = moment.frame.memory if moment.frame else None
    legend = memory_legend(memory, room) if memory else []
    lines: list[Ranked] = [
        *zip((0, 1), _gauges(host, room), strict=True),
        (3, _engine(host, room)),
        (2, limit(moment.frame, room)),
        *(((5, _engine_bar(memory, room)),) if memory else ()),
        *((6, part) for part in legend),
        (4, _no_gpu(host, room)),
        (7, _name(host, room)),
    ]
    figures = ceilings(moment)
    title = aged(f"CPU {room.glyphs.dot} no GPU", age_s, moment.window)
    if title.width + figures.width + 6 > room.width:
        title = aged("CPU", age_s, moment.window)
    return PanelView(
        title,
        figures,
        most_needed(lines, room.height),
        age_s is not None or moment.stale_s is not None,
    )


def _gauges(host: HostSample, room: Room) -> tuple[Line, Line]:
    """CPU and memory, with gauges of one length."""
    cpu = line(
        " ",
        value(percent(host.cpu_utilization, width=5), Ink.STRONG),
        muted(cores_of(host)),
    )
    memory = line(" ", value(bytes_pair(host.memory_used_bytes, host.memory_total_bytes)))
    total, held = host.memory_total_bytes, host.memory_used_bytes
    used = held / total if total and held is not None else None
    width = max(4, room.width - LABEL_WIDTH - max(cpu.width, memory.width))
    memory_gauge = gauge(used, width, room.glyphs, warn_at=LOW_MEMORY, bad_at=NO_MEMORY)
    return (
        line(label("cpu"), gauge(host.cpu_utilization, width, room.glyphs), cpu),
        line(label("mem"), memory_gauge, memory),
    )


def _engine(host: HostSample, room: Room) -> Line:
    return room.facts(
        [
            line(label("engine"), value(cores(host.worker_cpu_utilization))),
            line(value(binary_bytes(host.worker_rss_bytes)), muted(" resident")),
        ]
    )


def _engine_bar(memory: Memory, room: Room) -> Line:
    parts = memory_parts(memory)
    bar = stacked(parts, memory.used_bytes, room.width - LABEL_WIDTH, room.glyphs)
    return line(" " * LABEL_WIDTH, bar)


def _no_gpu(host: HostSample, room: Room) -> Line:
    why = muted(host.gpu_note or "none was found")
    return room.clipped(line(label("GPU"), why))


def _name(host: HostSample, room: Room) -> Line:
    name = f"{host.hostname} {room.glyphs.dot} {host.cpu_name}" if host.cpu_name else host.hostname
    return room.clipped(line(label("host"), muted(name)))
