"""A percentile in words: what an attached server's buckets cannot resolve is said as such."""

from ...engine.protocol import Percentiles
from .formatting import MISSING, milliseconds


def quantile_text(of: Percentiles | None, value_ms: float | None, *, width: int = 0) -> str:
    """A latency of a distribution: `88 ms`; `< 10 ms` in its first bucket, whose lower end is
    nothing, and `≥ 2560 s` beyond its last."""
    if of is None or value_ms is None:
        return MISSING.rjust(width)
    text = milliseconds(value_ms)
    if of.below_ms is not None and value_ms <= of.below_ms:
        return _signed("<", text, width)
    if of.above_ms is not None and value_ms >= of.above_ms:
        return _signed("≥", text, width)
    return text.rjust(width)


def _signed(sign: str, text: str, width: int) -> str:
    """With a gap where there is room for one."""
    spaced = f"{sign} {text}"
    return (spaced if not width or len(spaced) < width else f"{sign}{text}").rjust(width)
