"""The figures that the Server panel lists beside those which have a place of their own."""

import math

from ...protocol import FurtherFigure, Unit, Window
from ..mapping.further import Further
from ..mapping.source import Flow, Label, Level, Mean, Share
from .figures import Figures
from .frame_rates import Windows
from .gauges import Told
from .kept_scrapes import Between


def further_figures(
    figures: Figures, rates: Between | None, windows: Windows, now_s: float
) -> list[FurtherFigure]:
    """Those that the server tells and that have a value now, in the order of the table; of several
    sources of one name the first."""
    found: dict[str, FurtherFigure] = {}
    for each in figures.table.further:
        if each.name in found:
            continue
        told = _told(figures, each, rates, windows)
        if told is not None and math.isfinite(told.value):
            value = min(1.0, told.value) if each.unit is Unit.SHARE else told.value
            found[each.name] = FurtherFigure(
                name=each.name,
                value=value,
                unit=each.unit,
                expression=told.expression,
                age_s=max(0.0, now_s - told.at_s),
            )
    return list(found.values())


def _told(figures: Figures, each: Further, rates: Between | None, windows: Windows) -> Told | None:
    match each.source:
        case Level() | Label() as level:
            return figures.level((level,))
        case Flow() as flow:
            return figures.rate((flow,), rates, windows.get(Window.S10))
        case Share() as share:
            return figures.quotient((share,), windows.get(Window.M1))
        case Mean() as mean:
            return figures.mean(mean, windows.get(Window.M1))
