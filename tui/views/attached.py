"""The server that is watched: what it is, how it is read, and where each figure comes from."""

from collections.abc import Callable, Mapping

from ...engine.protocol import Attached, FurtherFigure, Origin, Unit
from ..drawing.line import EMPTY, Line, Piece, line, muted, wrapped
from ..state.moment import Moment
from ..style.formatting import MISSING, binary_bytes, count, milliseconds, percent, rate, si
from ..style.inks import Ink
from .panel import PanelView, Room, figure, titled, value

NAME_CELLS = 15
"""As wide as the names of figures are: `draft acceptance` is cut by one."""
OLD_S = 3.0
"""From this age on a figure's age is pointed out."""


def attached_view(moment: Moment, server: Attached, room: Room) -> PanelView:
    """How the server is read, what it does not give and why, then where the figures come from."""
    missing = [(name, each) for name, each in server.origins.items() if each.missing is not None]
    given = [(name, each) for name, each in server.origins.items() if each.missing is None]
    lines = [_reading(server, room)]
    for each in server.further:
        lines += _entry(each.name, _further(each), Ink.TEXT, room)
    for name, origin in missing:
        lines += _entry(name, f"{MISSING}  {origin.missing}", Ink.FAINT, room)
    for name, origin in given:
        lines += _entry(name, _source(origin), Ink.TEXT, room)
    return PanelView(
        titled(f"Server {room.glyphs.dot} {server.name}", moment),
        _figures(server, len(missing)),
        tuple(lines),
        moment.stale_s is not None,
    )


def _figures(server: Attached, missing: int) -> Line:
    absent = figure("missing", str(missing)) if missing else EMPTY
    if server.ranks < 2:
        return absent
    ranks = figure("ranks", str(server.ranks))
    return line(ranks, "  ", absent) if missing else ranks


def _reading(server: Attached, room: Room) -> Line:
    rate = MISSING if server.scraped_per_s is None else f"{server.scraped_per_s:.2g}/s"
    return room.facts(
        [
            line(value(f"{server.kind} {server.version or ''}".strip(), Ink.STRONG)),
            line(muted("read "), value(rate)),
            line(muted("answers in "), value(milliseconds(server.scrape_ms))),
            line(muted(server.url)),
        ]
    )


def _further(figure: FurtherFigure) -> str:
    """Its value, then where it comes from."""
    old = f"  {figure.age_s:.0f} s old" if figure.age_s > OLD_S else ""
    return f"{_WRITTEN[figure.unit](figure.value)}  {figure.expression}{old}"


_WRITTEN: Mapping[Unit, Callable[[float], str]] = {
    Unit.COUNT: lambda value: count(round(value)) if value.is_integer() else si(value),
    Unit.SHARE: percent,
    Unit.MILLISECONDS: milliseconds,
    Unit.BYTES: binary_bytes,
    Unit.PER_S: rate,
    Unit.TOKENS_PER_S: lambda value: rate(value, "tok"),
    Unit.BYTES_PER_S: lambda value: f"{binary_bytes(value)}/s",
}


def _source(origin: Origin) -> str:
    old = origin.age_s is not None and origin.age_s > OLD_S
    return f"{origin.expression}  {origin.age_s:.0f} s old" if old else origin.expression


def _entry(name: str, text: str, ink: Ink, room: Room) -> list[Line]:
    """The figure's name and what is said of it, in as many rows as it takes."""
    if room.width < 2 * NAME_CELLS:
        return [room.clipped(line(muted(name), "  ", Piece(text, ink)))]
    rows = wrapped(text, room.width - NAME_CELLS - 1)
    first = line(muted(name[:NAME_CELLS].ljust(NAME_CELLS)), " ", Piece(rows[0], ink))
    return [first, *(line(" " * (NAME_CELLS + 1), Piece(row, ink)) for row in rows[1:])]
