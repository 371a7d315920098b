"""Quantities of planning as short text: memory, long times, energy, money, parameters."""

from ..style.formatting import MISSING, milliseconds, si

GIB = 2.0**30
_DAY_S = 86_400.0
_YEAR_S = 365.25 * _DAY_S


def gib(value: float | None) -> str:
    """Bytes in GiB with a decimal, whole from 1000 on: `61.7`."""
    if value is None:
        return MISSING
    size = value / GIB
    return f"{size:.1f}" if size < 999.95 else f"{size:.0f}" if size < 1e6 else f"{size:.2g}"


def seconds(value_s: float | None) -> str:
    """A step's time: `850 ms`, `14.5 s`; longer ones as `long_time`."""
    if value_s is None or value_s < 1000:
        return milliseconds(None if value_s is None else value_s * 1000)
    return long_time(value_s)


def long_time(value_s: float) -> str:
    """A run's time in the unit that suits it: `42.0 min`, `18.3 h`, `64.1 days`, `3.2 years`."""
    for size, unit in ((_YEAR_S * 2, "years"), (_DAY_S * 2, "days"), (7200.0, "h"), (120.0, "min")):
        if value_s >= size:
            divisor = {"years": _YEAR_S, "days": _DAY_S, "h": 3600.0, "min": 60.0}[unit]
            number = value_s / divisor
            return f"{number:.1f} {unit}" if number < 1000 else f"{si(number)} {unit}"
    return f"{value_s:.1f} s"


def money(value: float) -> str:
    """An amount in the currency of the price: `1.53M`."""
    return si(value)


def amount(count: float) -> str:
    """A round number as it would be typed: `1T`, `300B`, `4096`."""
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if count >= size:
            return f"{count / size:.4g}{suffix}"
    return f"{count:.6g}"


def parameters(count: float) -> str:
    """A parameter count as people say it: `6.74B`, `405B`, `1.24B`."""
    return si(count).replace("G", "B")
