"""The device: what NVML says of the GPUs, what the engine's memory consists of, how near to the
ceilings it runs. Without an NVIDIA GPU: CPU and memory, and a plain word that there is no GPU."""

from ...engine.protocol import Frame, GpuSample, HostSample, Memory
from ..formatting import binary_bytes, bytes_pair, percent, si
from ..look import Ink
from ..moment import STALE_AFTER_S, Moment
from ..widgets.meter import Part, gauge, stacked, stacked_legend
from .line import EMPTY, Line, Piece, centred, clipped, facts, line, muted
from .panel import PanelView, Room, figure, starting_text, titled, value

LABEL_WIDTH = 6
HOT_C, TOO_HOT_C = 80.0, 88.0


def gpu_view(moment: Moment, room: Room) -> PanelView:
    """Lines in order of weight; the panel shows as many as it has rows for."""
    host = moment.host
    if host is None:
        waiting = centred(muted("waiting for the probe"), room.width)
        return PanelView(titled("GPU", moment), lines=(waiting,))
    old_s = None if moment.paused else moment.host_age_s
    age_s = old_s if old_s is not None and old_s > STALE_AFTER_S else None
    if not host.gpus:
        return _cpu_view(moment, host, room, age_s)
    first = host.gpus[0]
    separator = f" {room.glyphs.dot} "
    title = titled(f"GPU {first.index}{separator}{first.name}", moment, age_s=age_s)
    return PanelView(
        title, _ceilings(moment.frame), tuple(_gpu_lines(moment, host, room)), age_s is not None
    )


def _ceilings(frame: Frame | None) -> Line:
    roofline = frame.roofline if frame else None
    return line(
        figure("MBU", percent(roofline.mbu if roofline else None)),
        "  ",
        figure("MFU", percent(roofline.mfu if roofline else None)),
    )


def _gpu_lines(moment: Moment, host: HostSample, room: Room) -> list[Line]:
    gpu = host.gpus[0]
    memory = moment.frame.memory if moment.frame else None
    lines = [
        _gpu_memory(gpu, memory, room),
        *_legend(memory, room),
        _busy(gpu, room),
        _power(gpu, moment.joules_per_token, room),
        _clocks(gpu, room),
        *(_other_gpu(other, room) for other in host.gpus[1:]),
        _host_line(host, room),
    ]
    return [shown for shown in lines if shown != EMPTY]


def _label(text: str) -> Piece:
    return muted(text.ljust(LABEL_WIDTH))


def _gpu_memory(gpu: GpuSample, memory: Memory | None, room: Room) -> Line:
    figures = line(" ", value(bytes_pair(gpu.memory_used_bytes, gpu.memory_total_bytes)))
    width = max(4, room.width - LABEL_WIDTH - figures.width)
    parts = _parts(memory) if memory else ()
    held = sum(part.amount for part in parts)
    others = max(0.0, (gpu.memory_used_bytes or 0) - held)
    bar = stacked(
        (*parts, Part("other processes", others, 4)), gpu.memory_total_bytes, width, room.glyphs
    )
    return line(_label("mem"), bar, figures)


def _parts(memory: Memory) -> tuple[Part, ...]:
    return (
        Part("weights", memory.weights_bytes, 0),
        Part("KV", memory.kv_bytes, 1),
        Part("workspace", memory.workspace_bytes, 2),
        Part("other", memory.other_bytes, 3),
    )


def _legend(memory: Memory | None, room: Room) -> list[Line]:
    """What the engine's memory consists of, in one line or in two."""
    if memory is None:
        return []
    parts = _parts(memory)
    texts = [binary_bytes(part.amount) for part in parts]
    indent = " " * LABEL_WIDTH
    whole = line(indent, stacked_legend(parts, texts, room.glyphs))
    if whole.width <= room.width:
        return [whole]
    halves = [
        line(stacked_legend(parts[:2], texts[:2], room.glyphs)),
        line(stacked_legend(parts[2:], texts[2:], room.glyphs)),
    ]
    return [half if half.width <= room.width else _without_units(half) for half in halves]


def _without_units(legend: Line) -> Line:
    """A narrow legend loses the blanks before its units."""
    return line(
        *(
            Piece(piece.text.replace(" GiB", "G").replace(" MiB", "M"), piece.ink)
            for piece in legend.pieces
        )
    )


def _busy(gpu: GpuSample, room: Room) -> Line:
    figures = line(
        " ",
        value(percent(gpu.utilization, width=5), Ink.STRONG),
        *(
            (muted("  memory "), value(percent(gpu.memory_utilization, width=5)))
            if room.width >= 50
            else ()
        ),
    )
    width = max(4, room.width - LABEL_WIDTH - figures.width)
    return line(_label("busy"), gauge(gpu.utilization, width, room.glyphs), figures)


def _power(gpu: GpuSample, joules_per_token: float | None, room: Room) -> Line:
    power = "--" if gpu.power_w is None else f"{gpu.power_w:.0f}"
    limit = "--" if gpu.power_limit_w is None else f"{gpu.power_limit_w:.0f}"
    celsius = "--" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f}"
    degree = "°C" if room.glyphs.unicode else "C"
    parts = [
        line(_label("power"), value(f"{power:>4} / {limit} W")),
        line(value(f"{celsius} {degree}", _heat_ink(gpu.temperature_c))),
        line(value(_joules(joules_per_token)), muted(" J/token")),
    ]
    if gpu.throttle:
        parts.insert(2, line(Piece(f"held back: {gpu.throttle}", Ink.WARN)))
    if gpu.energy_j is not None:
        parts.append(line(value(f"{si(gpu.energy_j)}J"), muted(" since boot")))
    return facts(parts, room.width, room.glyphs)


def _heat_ink(celsius: float | None) -> Ink:
    if celsius is None or celsius < HOT_C:
        return Ink.TEXT
    return Ink.BAD if celsius >= TOO_HOT_C else Ink.WARN


def _joules(number: float | None) -> str:
    if number is None:
        return "--"
    return f"{number:.3f}" if number < 1 else f"{number:.2f}"


def _clocks(gpu: GpuSample, room: Room) -> Line:
    return facts(
        [
            line(_label("clock"), value(_mhz(gpu.sm_clock_mhz)), muted(" SM")),
            line(value(_mhz(gpu.memory_clock_mhz)), muted(" mem")),
            line(
                muted("PCIe "),
                value(f"{room.glyphs.arrow_down}{_per_second(gpu.pcie_rx_bytes_s)}"),
                " ",
                value(f"{room.glyphs.arrow_up}{_per_second(gpu.pcie_tx_bytes_s)}"),
            ),
        ],
        room.width,
        room.glyphs,
    )


def _mhz(clock: int | None) -> str:
    return "-- MHz" if clock is None else f"{clock:4d} MHz"


def _per_second(size: float | None) -> str:
    return "--" if size is None else f"{binary_bytes(size)}/s"


def _other_gpu(gpu: GpuSample, room: Room) -> Line:
    """A GPU beside the first, in one line."""
    memory = bytes_pair(gpu.memory_used_bytes, gpu.memory_total_bytes)
    power = "--" if gpu.power_w is None else f"{gpu.power_w:.0f} W"
    celsius = "--" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f}°"
    return facts(
        [
            line(_label(f"GPU {gpu.index}"), value(percent(gpu.utilization, width=5))),
            line(value(memory)),
            line(value(power)),
            line(value(celsius, _heat_ink(gpu.temperature_c))),
        ],
        room.width,
        room.glyphs,
    )


def _host_line(host: HostSample, room: Room) -> Line:
    return facts(
        [
            line(
                _label("host"),
                value(percent(host.cpu_utilization)),
                muted(f" of {host.cpu_count} cores"),
            ),
            line(muted("engine "), value(_cores(host.worker_cpu_utilization))),
            line(value(bytes_pair(host.memory_used_bytes, host.memory_total_bytes))),
        ],
        room.width,
        room.glyphs,
    )


def _cores(cores: float | None) -> str:
    return "-- cores" if cores is None else f"{cores:.2f} cores"


def _cpu_view(moment: Moment, host: HostSample, room: Room, age_s: float | None) -> PanelView:
    memory = moment.frame.memory if moment.frame else None
    cpu_figures = line(
        " ",
        value(percent(host.cpu_utilization, width=5), Ink.STRONG),
        muted(f" of {host.cpu_count} cores"),
    )
    mem_figures = line(" ", value(bytes_pair(host.memory_used_bytes, host.memory_total_bytes)))
    width = room.width - LABEL_WIDTH - max(cpu_figures.width, mem_figures.width)
    used = host.memory_used_bytes / host.memory_total_bytes if host.memory_total_bytes else None
    name = f" ({host.cpu_name})" if host.cpu_name else ""
    lines = [
        line(_label("cpu"), gauge(host.cpu_utilization, width, room.glyphs), cpu_figures),
        line(
            _label("mem"), gauge(used, width, room.glyphs, warn_at=0.85, bad_at=0.95), mem_figures
        ),
        _engine_line(moment, host, room),
        *(_engine_memory(memory, room) if memory else ()),
        clipped(
            line(_label("no GPU"), muted(host.gpu_note or "none was found")),
            room.width,
            room.glyphs,
        ),
        clipped(line(_label("host"), muted(f"{host.hostname}{name}")), room.width, room.glyphs),
    ]
    title = titled(f"CPU {room.glyphs.dot} no GPU", moment, age_s=age_s)
    return PanelView(title, _ceilings(moment.frame), tuple(lines), age_s is not None)


def _engine_line(moment: Moment, host: HostSample, room: Room) -> Line:
    if moment.frame is None and host.worker_rss_bytes is None:
        return line(_label("engine"), muted(starting_text(moment)))
    return facts(
        [
            line(_label("engine"), value(_cores(host.worker_cpu_utilization))),
            line(value(binary_bytes(host.worker_rss_bytes)), muted(" resident")),
        ],
        room.width,
        room.glyphs,
    )


def _engine_memory(memory: Memory, room: Room) -> list[Line]:
    parts = _parts(memory)
    bar = stacked(parts, memory.used_bytes, room.width - LABEL_WIDTH, room.glyphs)
    return [line(" " * LABEL_WIDTH, bar), *_legend(memory, room)]
