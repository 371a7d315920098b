"""The lines around the panels of the Production tab: header, views and footer."""

from ....engine.protocol import serving_words
from ...drawing.line import Line, Piece, ends, faint, first_fitting, line, muted, strong
from ...settings.keymap import PRODUCTION, Keymap
from ...state.moment import Moment
from ...style.inks import Ink
from ..around import centred_in, tab_header, view_keys
from ..keys import clicks_of, fitting_keys
from ..panel import Room

VIEW_TITLES = (
    ("targets", "Targets"),
    ("cost", "Cost"),
    ("capacity", "Capacity"),
    ("readiness", "Readiness"),
)
"""The views and their titles, in the order of the line."""
FOOTER_ACTIONS = (
    ("snapshot", "save"),
    ("tab_live", "live"),
    ("tab_compare", "compare"),
    ("help", "help"),
    ("quit", "quit"),
    ("maximize", "maximise"),
    ("theme", "theme"),
    ("palette", "palette"),
)
"""Action names and their word, the most needed first."""


def production_header(moment: Moment, room: Room) -> Line:
    """The tabs, what is served, and whether the engine lives."""

    def served(space: int) -> Line:
        if moment.frame is None:
            return centred_in(space, line())
        frame, dot = moment.frame, faint(f" {room.glyphs.dot} ")
        model = strong(frame.model.name)
        settings = line("  ".join(serving_words(frame)))
        return centred_in(
            space, first_fitting([line(model, dot, settings), line(model), line()], space)
        )

    return tab_header(PRODUCTION, moment, room, served)


def views_line(view: str, page: int, pages: int, keymap: Keymap, room: Room) -> Line:
    """The views with their keys, the one in sight in brackets; at the right, which of its pages."""
    views = view_keys(PRODUCTION, VIEW_TITLES, view, keymap)
    if pages == 1:
        return views.fitted(room.width)
    again = keymap.first_key(f"production_{view}")
    turn = line(
        Piece(again, Ink.ACCENT), muted(" next page "), strong(f"{page % pages + 1}/{pages}")
    )
    return ends(views, line(turn, " "), room.width)


def footer_line(keymap: Keymap, room: Room) -> Line:
    """The keys that work now, as many as fit whole."""
    actions = [(keymap.first_key(name), word) for name, word in FOOTER_ACTIONS]
    arrows = ("↑↓" if room.glyphs.unicode else "up/down", "scroll")
    entries = [arrows, ("tab", "panel"), *actions]
    return fitting_keys(entries, room.width, clicks_of(FOOTER_ACTIONS))
