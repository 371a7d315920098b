"""One recommendation, worked out of what was measured; or what is missing, and its key. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...engine.protocol import PrecisionName
from ..style.formatting import BEYOND_MEASURE
from .quality import Quality
from .quality_figures import LevelFigures
from .speeds import LEAST_S, SETTLE_S
from .stage import Stage

LEAST_SAVING = 0.03
"""A level that saves less memory than this share is no smaller one."""
FEW_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that the advice names, as the user mapped them."""

    begin: str
    serve: str


def advice(quality: Quality, levels: Sequence[LevelFigures], keys: Keys) -> str:
    """A sentence about the levels that save memory, or about what is missing."""
    measured = [level for level in levels if level.measured is not None]
    base = next((level for level in measured if level.is_reference), None)
    if base is None:
        return _nothing(quality, keys)
    smaller = _smaller(measured)
    if not smaller:
        if quality.running:
            return f"{base.precision} is measured; the others are being compared with it"
        return f"no level that was measured is smaller than {base.precision}: {keys.begin} measures"
    free = [level for level in smaller if not _differs(level)]
    # Of those that cost something, only what is smaller than all that costs no more.
    chosen = free[-1:] + [level for level in smaller if _differs(level) and _worth(level, smaller)]
    parts = [_first(chosen[0], _alike(chosen[0], smaller))]
    parts += [_next(level, before) for before, level in pairwise(chosen)]
    text = "; ".join(parts)
    return f"so far: {text}" if quality.running else text


def missing(
    quality: Quality, levels: Sequence[LevelFigures], keys: Keys, obstacle: str | None
) -> list[str]:
    """What could still be measured, and with which key; empty where nothing is missing.

    `obstacle`: why serving as it is now gives no speed.
    """
    if quality.running:
        return []
    measured = [level for level in levels if level.measured is not None]
    unmeasured = [
        level.precision for level in levels if level.measured is None and level.reason is None
    ]
    words = []
    if measured and unmeasured:
        words.append(f"not measured: {', '.join(unmeasured)} ({keys.begin} measures)")
    slow = [level.precision for level in measured if level.speed is None]
    if slow:
        how = obstacle or f"choose one, {keys.serve} serves at it, {LEAST_S + SETTLE_S:.0f} s do"
        words.append(f"no speed yet of {', '.join(slow)}: {how}")
    return words


def _nothing(quality: Quality, keys: Keys) -> str:
    if quality.running:
        return "the reference is measured first: nothing to compare with yet"
    if quality.run is Stage.CANCELLED:
        return f"cancelled before anything could be compared: {keys.begin} begins again"
    if quality.run is Stage.FAILED:
        return f"not measured: {quality.reason}; {keys.begin} begins again"
    return f"nothing measured yet: {keys.begin} measures what each precision costs in quality"


def _differs(level: LevelFigures) -> bool:
    return level.measured is not None and bool(level.measured.differs)


def _bytes(level: LevelFigures) -> int:
    return 0 if level.measured is None else level.measured.weights_bytes


def _smaller(measured: Sequence[LevelFigures]) -> list[LevelFigures]:
    """Those that save memory against the reference, the largest first."""
    saving = [
        level
        for level in measured
        if level.compression is not None and 1 - 1 / level.compression >= LEAST_SAVING
    ]
    return sorted(saving, key=_bytes, reverse=True)


def _worth(level: LevelFigures, smaller: Sequence[LevelFigures]) -> bool:
    """Whether no level of at most as many bytes keeps as much; the first of several that are
    alike. A difference that was not measured is none."""

    def costs(one: LevelFigures) -> tuple[int, float]:
        return _bytes(one), one.loss_percent or 0.0

    mine = costs(level)
    for other in smaller:
        theirs = costs(other)
        if theirs[0] <= mine[0] and theirs[1] <= mine[1] and other is not level:
            earlier = smaller.index(other) < smaller.index(level)
            if theirs != mine or earlier:
                return False
    return True


def _alike(level: LevelFigures, smaller: Sequence[LevelFigures]) -> list[LevelFigures]:
    """It, and what is about as small with no difference measured either: they are not ranked."""
    if _differs(level):
        return [level]
    limit = _bytes(level) * (1 + LEAST_SAVING)
    return [each for each in smaller if not _differs(each) and _bytes(each) <= limit]


def _first(level: LevelFigures, alike: Sequence[LevelFigures]) -> str:
    compression = level.compression or 1.0
    saved = percent_text(100 * (1 - 1 / compression))
    in_order = sorted(alike, key=lambda each: list(PrecisionName).index(each.precision))
    names = " or ".join(each.precision for each in in_order)
    speed = _speed(level) if len(alike) == 1 else ""
    return f"{names}: {saved} less memory, {_cost(level)}{speed}"


def _next(level: LevelFigures, before: LevelFigures) -> str:
    saved = percent_text(100 * (1 - _bytes(level) / _bytes(before)))
    return f"{level.precision} saves another {saved} and {_cost(level)}{_speed(level)}"


def _cost(level: LevelFigures) -> str:
    ratio = level.measured.ratio if level.measured is not None else None
    if ratio is None or not _differs(level):
        return "no difference measured"
    change = 100 * (ratio.value - 1)
    if change < 0:
        return f"lowers perplexity by {percent_text(-change)}"
    return f"costs {percent_text(change)} perplexity"


def _speed(level: LevelFigures) -> str:
    return "" if level.speedup is None else f", at {level.speedup:.2g} times the speed"


def percent_text(value: float) -> str:
    """`37 %`, below ten with a decimal: `4.2 %`, beyond measure its power of ten."""
    if abs(value) >= BEYOND_MEASURE:
        return f"{value:.2g} %"
    return f"{value:.1f} %" if abs(value) < FEW_PERCENT else f"{value:.0f} %"
