"""The lines around the panels of a tab that measures: its header and its views."""

from collections.abc import Callable, Sequence

from ..drawing.line import Line, Piece, ends, line, muted
from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..style.inks import Ink
from .header import health_cells, health_line, name_line, tabs_line
from .panel import Room


def tab_header(tab: str, moment: Moment, room: Room, middle: Callable[[int], Line]) -> Line:
    """The tabs, `middle` in the cells that are free, and how the engine does."""
    tabs = tabs_line(tab, room.width, fleet=moment.fleet is not None)
    left = line(name_line(moment, room), "  ", tabs)
    cells = health_cells(room.width, left.width)
    space = room.width - left.width - cells - 4
    beside = line(left, middle(space))
    return line(beside.fitted(room.width - cells), health_line(moment, cells, room))


def centred_in(space: int, shown: Line) -> Line:
    """A line in the middle of the free cells of a header."""
    return line(" " * ((space - shown.width) // 2 + 2), shown)


def view_keys(tab: str, titles: Sequence[tuple[str, str]], view: str, keymap: Keymap) -> Line:
    """The views of a tab with their keys, the one in sight in brackets."""
    items = []
    for name, title in titles:
        key, click = keymap.first_key(f"{tab}_{name}"), f"screen.view('{name}')"
        if name == view:
            items.append(line(Piece(f"[{key} {title}]".replace("[ ", "["), Ink.SELECTED, click)))
        else:
            items.append(
                line(Piece(f" {key}", Ink.ACCENT, click), muted(f" {title} ")._replace(click=click))
            )
    return line(*items)


def views_bar(
    tab: str,
    titles: Sequence[tuple[str, str]],
    view: str,
    keymap: Keymap,
    room: Room,
    *,
    turns: str,
    shown: Line,
) -> Line:
    """The views with their keys; at the right the keys that go to the previous and the next of what
    `turns` names, and the one `shown`."""
    keys = [keymap.first_key(f"{tab}_{name}") for name in ("previous", "next")]
    right = line(Piece(" ".join(filter(None, keys)), Ink.ACCENT), muted(f" {turns} "), shown)
    return ends(view_keys(tab, titles, view, keymap), line(right, " "), room.width)
