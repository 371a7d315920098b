"""The GPU panel: what NVML says of the GPUs, and what the engine keeps in the memory of its own."""

from ...engine.protocol import GpuSample, HostSample, Memory
from ...engine.records.engine_gpu import engine_gpu, in_order
from ..drawing.line import EMPTY, Line, Piece, centred, in_glyphs, line, muted
from ..drawing.meter import Part, gauge, stacked
from ..state.moment import Moment
from ..style.formatting import MISSING, binary_bytes, bytes_pair, energy, percent
from ..style.inks import Ink
from .cpu import cpu_view
from .device import (
    LABEL_WIDTH,
    Ranked,
    ceilings,
    cores,
    cores_of,
    heat_ink,
    label,
    limit,
    memory_legend,
    memory_parts,
    most_needed,
    sample_age_s,
)
from .panel import PanelView, Room, aged, value

WIDE = 50


def device_view(moment: Moment, room: Room) -> PanelView:
    """The GPUs; where there is none, the CPU."""
    host = moment.host
    if host is None:
        waiting = centred(muted("waiting for the probe"), room.width)
        return PanelView(aged("Device", None), lines=(waiting,))
    return gpu_view(moment, host, room) if host.gpus else cpu_view(moment, host, room)


def gpu_view(moment: Moment, host: HostSample, room: Room) -> PanelView:
    """The engine's GPU in full, and a line for each of the others."""
    age_s = sample_age_s(moment)
    frame = moment.frame
    own = engine_gpu(frame, host.gpus)
    gpu, *others = in_order(host.gpus, frame)
    figures = ceilings(moment)
    title = f"GPU {gpu.index} {room.glyphs.dot} {gpu.name}" if gpu.name else f"GPU {gpu.index}"
    if len(title) + figures.width + 13 > room.width:
        title = f"GPU {gpu.index}"
    memory = frame.memory if frame and own else None
    legend = memory_legend(memory, room) if memory else []
    lines: list[Ranked] = [
        (0, _missing(host, room)),
        (0, _memory(gpu, memory, room)),
        *((4, part) for part in legend),
        (1, _busy(gpu, room)),
        (2, limit(frame, room)),
        (3, _power(gpu, moment.joules_per_token if own else None, room)),
        (5, _clocks(gpu, room)),
        *((3, _other(other, room)) for other in others),
        (6, _host(host, room)),
    ]
    return PanelView(
        aged(title, age_s, moment.window),
        figures,
        most_needed(lines, room.height),
        age_s is not None or moment.stale_s is not None,
    )


def _missing(host: HostSample, room: Room) -> Line:
    """Which GPUs are not there any more, and why; empty where all are."""
    if host.gpu_note is None:
        return EMPTY
    return room.clipped(line(label("lost"), Piece(in_glyphs(host.gpu_note, room.glyphs), Ink.BAD)))


def _memory(gpu: GpuSample, memory: Memory | None, room: Room) -> Line:
    figures = line(" ", value(bytes_pair(gpu.memory_used_bytes, gpu.memory_total_bytes)))
    width = max(4, room.width - LABEL_WIDTH - figures.width)
    parts = memory_parts(memory) if memory else ()
    beside = max(0.0, (gpu.memory_used_bytes or 0) - sum(part.amount for part in parts))
    bar = stacked((*parts, Part("beside", beside, 4)), gpu.memory_total_bytes, width, room.glyphs)
    return line(label("mem"), bar, figures)


def _busy(gpu: GpuSample, room: Room) -> Line:
    figures = [Piece(" "), value(percent(gpu.utilization, width=5), Ink.STRONG)]
    if room.width >= WIDE:
        figures += [muted("  memory "), value(percent(gpu.memory_utilization, width=5))]
    text = line(*figures)
    width = max(4, room.width - LABEL_WIDTH - text.width)
    return line(label("busy"), gauge(gpu.utilization, width, room.glyphs), text)


def _power(gpu: GpuSample, joules_per_token: float | None, room: Room) -> Line:
    parts = [
        line(label("power"), value(f"{_whole(gpu.power_w):>3} / {_whole(gpu.power_limit_w)} W")),
        line(value(_celsius(gpu, room), heat_ink(gpu.temperature_c))),
        line(value(_joules(joules_per_token)), muted(" J/token" if room.width >= WIDE else " J/t")),
    ]
    if gpu.throttle:
        parts.insert(2, line(Piece(f"held back: {gpu.throttle}", Ink.WARN)))
    if gpu.energy_j is not None:
        parts.append(line(value(energy(gpu.energy_j)), muted(" in all")))
    return room.facts(parts)


def _clocks(gpu: GpuSample, room: Room) -> Line:
    down, up = room.glyphs.arrow_down, room.glyphs.arrow_up
    pcie = (
        f"{down}{_per_second(gpu.pcie_rx_bytes_s)}",
        f"{up}{_per_second(gpu.pcie_tx_bytes_s)}",
    )
    return room.facts(
        [
            line(label("clock"), value(_mhz(gpu.sm_clock_mhz)), muted(" SM")),
            line(value(_mhz(gpu.memory_clock_mhz)), muted(" mem")),
            line(muted("PCIe "), value(pcie[0]), " ", value(pcie[1])),
        ]
    )


def _other(gpu: GpuSample, room: Room) -> Line:
    """A GPU beside the engine's, in one line."""
    return room.facts(
        [
            line(label(f"GPU {gpu.index}"), value(percent(gpu.utilization, width=5))),
            line(value(bytes_pair(gpu.memory_used_bytes, gpu.memory_total_bytes))),
            line(value(f"{_whole(gpu.power_w)} W")),
            line(value(_celsius(gpu, room), heat_ink(gpu.temperature_c))),
        ]
    )


def _host(host: HostSample, room: Room) -> Line:
    use = percent(host.cpu_utilization, width=5)
    return room.facts(
        [
            line(label("host"), value(use), muted(cores_of(host))),
            line(muted("engine "), value(cores(host.worker_cpu_utilization))),
            line(value(bytes_pair(host.memory_used_bytes, host.memory_total_bytes))),
        ]
    )


def _whole(number: float | None) -> str:
    return MISSING if number is None else f"{number:.0f}"


def _celsius(gpu: GpuSample, room: Room) -> str:
    degree = "°C" if room.glyphs.unicode else "C"
    return f"{_whole(gpu.temperature_c)} {degree}"


def _joules(number: float | None) -> str:
    if number is None:
        return MISSING
    return f"{number:.3f}" if number < 1 else f"{number:.2f}"


def _mhz(clock: int | None) -> str:
    return f"{MISSING} MHz" if clock is None else f"{clock:4d} MHz"


def _per_second(size: float | None) -> str:
    return MISSING if size is None else f"{binary_bytes(size)}/s"
