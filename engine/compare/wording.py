"""Figures and differences in words: three significant digits with their unit, `--` for none."""

import math
from enum import Enum

MISSING = "--"
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


class Unit(Enum):
    """What a figure is counted in."""

    TOKENS_PER_S = "tok/s"
    REQUESTS_PER_S = "req/s"
    MS = "ms"
    S = "s"
    BYTES = "bytes"
    FRACTION = "%"
    FACTOR = "×"
    JOULES_PER_TOKEN = "J/token"
    EFFICIENCY = "tok/s per s"
    COUNT = "count"


def digits(value: float) -> str:
    """Three significant digits, or all before the point: `0.0123`, `4.56`, `12,345`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    # The exponent after rounding: 9.996 is 10.0.
    exponent = int(f"{value:.2e}".partition("e")[2])
    return f"{value:,.{max(2 - exponent, 0)}f}"


def figure(value: float | None, unit: Unit, *, with_unit: bool = True) -> str:
    """`1,230 tok/s`, `87 %`, `1.50 GiB`; bytes and shares always have their unit."""
    if value is None or not math.isfinite(value):
        return MISSING
    match unit:
        case Unit.BYTES:
            return _bytes(value)
        case Unit.FRACTION:
            return f"{digits(value * 100)} %"
        case Unit.FACTOR:
            return f"×{digits(value)}"
        case Unit.COUNT:
            return f"{value:,.0f}" if value == int(value) else digits(value)
        case _:
            return f"{digits(value)} {unit.value}" if with_unit else digits(value)


def _bytes(value: float) -> str:
    step = 0
    while abs(value) >= 1024 and step < len(_BYTES) - 1:
        value, step = value / 1024, step + 1
    return f"{digits(value)} {_BYTES[step]}" if step else f"{value:.0f} B"


def change(old: float, new: float) -> str:
    """`+12 %`, `−3.4 %`; from twice as much on a factor, and both values where the old one is
    0. Less than half a tenth of a per cent is `±0 %`."""
    if old == 0:
        return f"{digits(old)} → {digits(new)}"
    ratio = new / old
    if ratio >= 2 or ratio < 0:
        return f"×{digits(ratio)}"
    percent = (ratio - 1) * 100
    if abs(percent) < 0.05:
        return "±0 %"
    return f"{'−' if percent < 0 else '+'}{digits(abs(percent))} %"


def several(words: list[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`; of more than `most` the first ones and how many others."""
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} others"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
