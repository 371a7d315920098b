"""The lights of the targets on the Live tab: one short piece of a line."""

from ....engine.protocol import TargetFigure, TargetName
from ...drawing.line import EMPTY, Line, Piece, ends, line, muted
from ...settings.keymap import PRODUCTION
from ...state.moment import Moment
from ...style.inks import Ink
from ..events import effect_line
from ..panel import Room
from .targets import light

NAMED_FROM = 150
"""From this width on each light has its name; below, the signs stand in the table's order."""
NAMES = {
    TargetName.E2E: "E2E",
    TargetName.REQUESTS: "req/s",
    TargetName.GPU: "GPU",
    TargetName.MEMORY: "mem",
    TargetName.AVAILABILITY: "avail",
    TargetName.SAFETY: "safe",
    TargetName.COST: "cost",
    TargetName.QUALITY: "qual",
    TargetName.CONSISTENCY: "cons",
}
_CLICK = f"app.tab('{PRODUCTION}')"


def lights_line(moment: Moment, room: Room) -> Line:
    """A sign for each target, in the order of the Production tab, which a click opens; those of an
    alert that has just begun flash. Empty where no targets are told."""
    sample = moment.production.sample
    if sample is None:
        return EMPTY
    bright = moment.production.flashes(moment.now_s) and int(moment.now_s * 2) % 2 == 0
    pieces: list[Line] = []
    for figure in sample.targets:
        sign = _sign(figure, room, bright=bright)
        if room.width >= NAMED_FROM:
            pieces.append(line(sign, muted(NAMES[figure.name])._replace(click=_CLICK), "  "))
        else:
            pieces.append(line(sign))
    return line(*pieces, " " if room.width < NAMED_FROM else "")


def _sign(figure: TargetFigure, room: Room, *, bright: bool) -> Piece:
    sign = light(figure, room.glyphs)
    if bright and figure.alert is not None:
        sign = sign._replace(ink=Ink.SELECTED)
    return sign._replace(click=_CLICK)


def strip_line(moment: Moment, room: Room) -> Line:
    """The strip of the last switch's effect, with the lights at its right."""
    lights = lights_line(moment, room)
    if not lights.width:
        return effect_line(moment, room)
    beside = Room(room.width - lights.width - 1, 1, room.glyphs)
    return ends(effect_line(moment, beside), lights, room.width)
