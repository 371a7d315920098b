"""The lines around the panels of the Sessions tab: header, filter and marks, footer."""

from ...drawing.line import Line, Piece, ends, line, muted, strong
from ...settings.keymap import SESSIONS, Keymap
from ...state.moment import Moment
from ...state.sessions import Sessions, title_of
from ...style.formatting import clip_middle
from ...style.inks import Ink
from ..around import tab_header
from ..keys import clicks_of, fitting_keys
from ..panel import Room

FOOTER_ACTIONS = (
    ("sessions_mark", "mark"),
    ("sessions_diff", "diff"),
    ("sessions_rename", "rename"),
    ("sessions_delete", "delete"),
    ("sessions_undo", "undo"),
    ("sessions_export", "export"),
    ("sessions_filter", "filter"),
    ("help", "help"),
    ("quit", "quit"),
    ("tab_live", "live"),
    ("snapshot", "save"),
    ("record", "record"),
)
"""Action names and their word, the most needed first."""


def sessions_header(moment: Moment, room: Room) -> Line:
    """The tabs, and how the engine does."""
    return tab_header(SESSIONS, moment, room, lambda _space: line(""))


def state_line(sessions: Sessions, keymap: Keymap, room: Room) -> Line:
    """The filter at the left, what is marked at the right."""
    key = keymap.first_key("sessions_filter")
    wanted = (
        line(muted(" filter "), strong(sessions.wanted))
        if sessions.wanted
        else line(Piece(f" {key}", Ink.ACCENT, "screen.filter"), muted(" filter"))
    )
    names = []
    for letter, path in zip("AB", sessions.marked, strict=False):
        row = sessions.row(str(path))
        if row is not None:
            name = clip_middle(title_of(row), room.width // 4, room.glyphs.ellipsis)
            names += [Piece(f"  {letter} ", Ink.MARK), strong(name)]
    return ends(wanted, line(*names, " "), room.width)


def footer_line(keymap: Keymap, room: Room, sessions: Sessions, *, diffing: bool) -> Line:
    """The keys that work now, as many as fit whole."""
    if diffing:
        entries = [("esc", "close"), (_arrows(room), "scroll"), ("tab", "panel")]
        entries += [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS[5:]]
        return fitting_keys(entries, room.width, clicks_of(FOOTER_ACTIONS))
    hidden = "" if sessions.removed else "undo"
    actions = [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS if word != hidden]
    entries = [("enter", "open"), (_arrows(room), "choose"), *actions]
    return fitting_keys(entries, room.width, clicks_of(FOOTER_ACTIONS))


def _arrows(room: Room) -> str:
    return "↑↓" if room.glyphs.unicode else "up/down"
