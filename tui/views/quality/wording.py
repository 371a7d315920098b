"""How figures of quality are written, on the screen and by `prodtop quality`."""

from ....engine.protocol import Interval, LevelQuality
from ...style.formatting import BEYOND_MEASURE

NONE_MEASURED = "none measured"


def change(level: LevelQuality) -> str:
    """`+4.17 %`, or that none was measured: 1 lies within the ratio's interval."""
    if level.ratio is None:
        return "reference"
    if not level.differs:
        return NONE_MEASURED
    return f"{_signed(100 * (level.ratio.value - 1))} %"


def _signed(percent: float) -> str:
    """Two decimals; a power of ten where a broken level has lost beyond measure."""
    return f"{percent:+.2f}" if abs(percent) < BEYOND_MEASURE else f"{percent:+.2g}"


def decibel(value: float | None) -> str:
    """`exact` where there is no error at all."""
    return "exact" if value is None else f"{value:.1f} dB"


def figure(value: float) -> str:
    """A perplexity: four digits, `20.16`; without decimals where it is large, `1.2e+86` where it
    is beyond measure."""
    if value >= BEYOND_MEASURE:
        return f"{value:.2g}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.4g}"


def half_width(interval: Interval) -> str:
    """What stands behind ±: half the 95 % interval."""
    return f"{(interval.high - interval.low) / 2:.2g}"


def change_interval(level: LevelQuality) -> str:
    """The 95 % interval of the change: `+3.11 … +4.23 %`."""
    if level.ratio is None:
        return ""
    low, high = (100 * (end - 1) for end in (level.ratio.low, level.ratio.high))
    return f"{_signed(low)} … {_signed(high)} %"


def small(value: float) -> str:
    """A divergence in nats."""
    return f"{value:.2g}"


def share(value: float) -> str:
    """`98.27 %`."""
    return f"{100 * value:.2f} %"


def percent_of(fraction: float) -> str:
    """In percent with three digits, however small: `0.000052 %`."""
    return f"{100 * fraction:.3g} %"
