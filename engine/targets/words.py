"""Targets and their figures in words: for alerts, the event log and the screen."""

import math
from collections.abc import Sequence

from ..protocol import Burn, TargetFigure, TargetName
from .settings import AT_LEAST

TITLES = {
    TargetName.E2E: "p95 E2E",
    TargetName.REQUESTS: "requests/s",
    TargetName.GPU: "GPU utilization",
    TargetName.MEMORY: "memory efficiency",
    TargetName.AVAILABILITY: "availability",
    TargetName.SAFETY: "safety violations",
    TargetName.COST: "cost per request",
    TargetName.QUALITY: "output quality",
    TargetName.CONSISTENCY: "consistency",
}


def figure_text(name: TargetName, value: float) -> str:
    """`84 ms`, `99.92 %`, `$0.0012`: the unit is the target's."""
    match name:
        case TargetName.E2E:
            return f"{_short(value)} ms" if value < 1000 else f"{_short(value / 1000)} s"
        case TargetName.REQUESTS:
            return f"{_short(value)}/s"
        case TargetName.COST:
            return _dollars(value)
        case TargetName.AVAILABILITY | TargetName.SAFETY:
            return f"{_close(100 * value)} %"
        case _:
            return f"{100 * value:.1f} %"


def limit_text(name: TargetName, limit: float) -> str:
    """`< 100 ms`."""
    sign = ">" if name in AT_LEAST else "<"
    number = f"{100 * limit:g} %"
    match name:
        case TargetName.E2E:
            number = f"{limit:g} ms"
        case TargetName.REQUESTS:
            number = f"{limit:g}/s"
        case TargetName.COST:
            number = f"${limit:g}"
        case _:
            pass
    return f"{sign} {number}"


def span_text(seconds: float) -> str:
    """`25s`, `5m`, `6h`, `3d`: as the windows are called."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("m", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds:.3g}s"


def burn_text(factor: float, burns: Sequence[Burn]) -> str:
    """`budget burns 18× over 5m and 21× over 25s`, of the rule with this factor."""
    burn = next((each for each in burns if each.factor == factor), None)
    if burn is None or burn.long is None:
        return ""
    words = f"budget burns {_times(burn.long)} over {span_text(burn.long_s)}"
    if burn.short is None:
        return words
    return f"{words} and {_times(burn.short)} over {span_text(burn.short_s)}"


def alert_text(figure: TargetFigure, reason: str, *, active: bool) -> str:
    """`availability 98.2 % (target > 99.9 %): budget burns 18× over 5m and 21× over 25s`."""
    value = figure.note if figure.value is None else figure_text(figure.name, figure.value)
    title = TITLES[figure.name]
    words = f"{title} {value} (target {limit_text(figure.name, figure.limit)})"
    if not active:
        return f"{words}: the alert has ended"
    return f"{words}: {reason}" if reason else f"{words}: missed over both windows"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _dollars(value: float) -> str:
    """Cents, and two significant digits of what is less than ten of them."""
    if not 0 < value < 0.1:
        return f"${value:.2f}"
    decimals = 1 - math.floor(math.log10(value))
    return f"${value:.{min(decimals, 12)}f}"


def _times(rate: float) -> str:
    return f"{rate:.3g}×"


def _close(percent: float) -> str:
    """Two decimals, and three where two would make all or nothing of it."""
    text = f"{percent:.2f}"
    return f"{percent:.3f}" if text in ("100.00", "0.00") and percent not in (0.0, 100.0) else text
