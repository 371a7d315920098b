"""Numbers as short text of steady width, so that figures do not jitter on the screen.

Every function takes `None` (and not-a-number) for a figure that is missing and gives `--`.
`width` right-aligns; text longer than `width` is never cut.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

MISSING = "--"
BEYOND_MEASURE = 1e6
"""Perplexities and percentages from here on say no more than their power of ten."""

_COUNT_CHARACTERS = len("99,999")
_DECIMAL_STEPS = ("", "k", "M", "G", "T", "P", "E")
_WATT_HOURS = ("Wh", "kWh", "MWh", "GWh", "TWh", "PWh", "EWh")
_BINARY_STEPS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def si(value: float | None, *, width: int = 0) -> str:
    """Three significant digits with a decimal prefix: `22900` is `22.9k`, `4` is `4.00`."""
    if not _is_known(value):
        return MISSING.rjust(width)
    return _stepped(value, 1000.0, _DECIMAL_STEPS, "").rjust(width)


def exact(value: int | None) -> str:
    """A whole number with all its digits: `12,633`."""
    return MISSING if value is None else f"{value:,}"


def count(value: int | None, *, width: int = 0) -> str:
    """A whole number: exact up to `99,999`, further where a cell of `width` has room for it and a
    gap, and with a decimal prefix beyond."""
    text = exact(value)
    fits = len(text) <= max(_COUNT_CHARACTERS, width - 1)
    return (text if fits else si(value)).rjust(width)


def binary_bytes(value: float | None, *, width: int = 0) -> str:
    """Bytes in powers of 1024, three significant digits: `21.4 GiB`."""
    if not _is_known(value):
        return MISSING.rjust(width)
    if abs(value) < 1024 and float(value).is_integer():
        return f"{int(value)} B".rjust(width)
    return _stepped(value, 1024.0, _BINARY_STEPS, " ").rjust(width)


def bytes_pair(used: float | None, total: float | None) -> str:
    """Used of total in the unit of the total: `21.4 / 139.8 GiB`."""
    if not _is_known(total):
        return f"{binary_bytes(used)} / {MISSING}"
    step = _step_of(total, 1024.0, len(_BINARY_STEPS))
    unit = 1024.0**step
    used_text = f"{used / unit:.1f}" if _is_known(used) else MISSING
    return f"{used_text} / {total / unit:.1f} {_BINARY_STEPS[step]}"


def milliseconds(value_ms: float | None, *, width: int = 0) -> str:
    """A latency: `0.42 ms`, `8.7 ms`, `88 ms`, `1.20 s`, `12.5 s`, `125 s`."""
    if not _is_known(value_ms):
        return MISSING.rjust(width)
    size = abs(value_ms)
    if size < 999.5:
        digits = 0 if value_ms == 0 else _decimals(size, (0.995, 9.95))
        return f"{value_ms:.{digits}f} ms".rjust(width)
    seconds = value_ms / 1000.0
    return f"{seconds:.{_decimals(abs(seconds), (9.995, 99.95))}f} s".rjust(width)


def percent(fraction: float | None, *, width: int = 0) -> str:
    """A fraction of 1 in percent: `41 %`; below 10 % with one decimal, `0 %` only for zero."""
    if not _is_known(fraction):
        return MISSING.rjust(width)
    value = fraction * 100.0
    digits = 1 if 0 < abs(value) < 9.95 else 0
    return f"{value:.{digits}f} %".rjust(width)


def rate(value_per_s: float | None, unit: str = "", *, width: int = 0) -> str:
    """A rate per second: `22.9k tok/s`, `4.00 req/s`, and `4.00/s` without a unit."""
    text = si(value_per_s)
    return f"{text} {unit}/s".rjust(width) if unit else f"{text}/s".rjust(width)


def dollars(value: float | None, *, width: int = 0) -> str:
    """US dollars with two decimals, small ones with three significant digits: `$4.59`,
    `$0.000123`; large ones with a prefix."""
    if not _is_known(value):
        return MISSING.rjust(width)
    if abs(value) >= 1e5:
        return f"${si(value)}".rjust(width)
    small = 0 < abs(value) < 0.1
    decimals = min(2 - math.floor(math.log10(abs(value))), 12) if small else 2
    return f"${value:,.{decimals}f}".rjust(width)


def joules(value: float | None) -> str:
    """Three significant digits with a decimal prefix: `18.6 kJ`, `13.8 mJ`."""
    if not _is_known(value):
        return MISSING
    if 0 < abs(value) < 1:
        return _stepped(value * 1e3, 1000.0, ("mJ", "J"), " ")
    return f"{_stepped(value, 1000.0, _DECIMAL_STEPS, ' ')}J"


def energy(joules: float | None) -> str:
    """Energy in watt-hours with a prefix: `1.23 GWh`."""
    if not _is_known(joules):
        return MISSING
    return _stepped(joules / 3600.0, 1000.0, _WATT_HOURS, " ")


def duration(value_s: float | None) -> str:
    """A running time as `00:12:31`; from a day on `3d 04:05:06`."""
    if not _is_known(value_s):
        return MISSING
    whole = max(0, int(value_s))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{days}d {clock}" if days else clock


def span(value_s: float | None) -> str:
    """A length of time in one or two units, for labels: `10s`, `1m`, `1m30s`, `2h`, `1d2h`."""
    if not _is_known(value_s):
        return MISSING
    if 0 < value_s < 10 and not float(value_s).is_integer():
        return f"{value_s:.1f}s"
    whole = round(value_s)
    for size, unit, smaller, smaller_unit in (
        (86_400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= size:
            head, rest = divmod(whole, size)
            return (
                f"{head}{unit}{rest // smaller}{smaller_unit}"
                if rest // smaller
                else f"{head}{unit}"
            )
    return f"{whole}s"


def clip(text: str, width: int, *, ellipsis: str = "…") -> str:
    """`text` cut to `width` characters, the last one an ellipsis where something was cut."""
    if len(text) <= width:
        return text
    return text[: width - 1] + ellipsis if width > 0 else ""


def clip_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """`text` cut to `width` characters: what tells names apart stands at their ends."""
    if len(text) <= width:
        return text
    if width < 3:
        return clip(text, width, ellipsis=ellipsis)
    tail = (width - 1) // 2
    return text[: width - 1 - tail] + ellipsis + text[-tail:]


def short_path(path: Path) -> str:
    """A path as people write it: from `~` on where it lies there."""
    home = Path.home()
    if path == home:
        return "~"
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _decimals(size: float, limits: tuple[float, float], most: int = 2) -> int:
    """Decimals that keep about three digits: `most` below the first limit, 0 above the second."""
    low, high = limits
    return most if size < low else 1 if size < high else 0


def _step_of(value: float, base: float, steps: int) -> int:
    """Which prefix suits `value`, so that three digits (four in binary) remain before it."""
    step = 0
    size = abs(value)
    while size >= base * 0.9995 and step < steps - 1:
        size /= base
        step += 1
    return step


def _stepped(value: float, base: float, units: tuple[str, ...], gap: str) -> str:
    step = _step_of(value, base, len(units))
    scaled = value / base**step
    digits = 0 if scaled == 0 else _decimals(abs(scaled), (9.995, 99.95))
    return f"{scaled:.{digits}f}{gap}{units[step]}"


def _trimmed(value: float, unit: str) -> str:
    return f"{value:.3g}{unit}"


def _axis_number(value: float) -> str:
    step = _step_of(value, 1000.0, len(_DECIMAL_STEPS))
    return _trimmed(value / 1000.0**step, _DECIMAL_STEPS[step])


def _axis_milliseconds(value_ms: float) -> str:
    if abs(value_ms) < 999.5:
        return _rounded(value_ms, "ms") if value_ms else "0"
    if abs(value_ms) < 999_500:
        return _trimmed(value_ms / 1000.0, "s")
    return _trimmed(value_ms / 60_000.0, "m")


def _axis_percent(fraction: float) -> str:
    return _rounded(fraction * 100.0, "%")


def _rounded(value: float, unit: str) -> str:
    """Like `_trimmed`, without decimals from ten on."""
    return f"{value:.0f}{unit}" if abs(value) >= 9.95 else f"{value:.2g}{unit}"


@dataclass(frozen=True, slots=True)
class Unit:
    """How a chart writes its values: `text` for a value, `axis` short for a round axis label."""

    text: Callable[[float | None], str]
    axis: Callable[[float], str]

    def short(self, value: float | None) -> str:
        """A value where there is little room: as on the axis."""
        return self.axis(value) if _is_known(value) else MISSING


def tally(value: float | None) -> str:
    """The mean of a whole number over time: `8` where it is whole, else with one decimal."""
    if not _is_known(value):
        return MISSING
    if abs(value) >= 999.5:
        return si(value)
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


NUMBER = Unit(si, _axis_number)
COUNT = Unit(tally, _axis_number)
MILLISECONDS = Unit(milliseconds, _axis_milliseconds)
FRACTION = Unit(percent, _axis_percent)
