"""The lines around the panels of the Quality tab: header, views and footer."""

from ...drawing.line import EMPTY, Line, faint, first_fitting, line, muted, strong
from ...settings.keymap import QUALITY, Keymap
from ...state.moment import Moment
from ...style.formatting import MISSING
from ..around import centred_in, tab_header, views_bar
from ..keys import clicks_of, fitting_keys
from ..panel import Room

VIEW_TITLES = (
    ("overview", "Levels"),
    ("charts", "Charts"),
    ("layers", "Layers"),
    ("texts", "Texts"),
)
FOOTER_ACTIONS = (
    ("quality_begin", "measure"),
    ("quality_serve", "serve at it"),
    ("tab_live", "live"),
    ("tab_planner", "planner"),
    ("help", "help"),
    ("quit", "quit"),
    ("maximize", "maximise"),
    ("theme", "theme"),
    ("palette", "palette"),
)
"""Action names and their word, the most needed first."""


LEVELS, MATRICES, ROWS = "level", "matrix", "scroll"
"""What arrows go through."""


def quality_header(moment: Moment, room: Room) -> Line:
    """The tabs, the model and what it is served at, and whether the engine lives."""

    def served(space: int) -> Line:
        if moment.frame is None:
            return centred_in(space, EMPTY)
        frame, dot = moment.frame, faint(f" {room.glyphs.dot} ")
        model = strong(frame.model.name)
        at = line(muted("served at "), frame.precision or MISSING)
        device = line(muted(frame.device_name))
        lines = [line(model, dot, at, dot, device), line(model, dot, at), line(model)]
        return centred_in(space, first_fitting(lines, space))

    return tab_header(QUALITY, moment, room, served)


def views_line(view: str, chosen: str, keymap: Keymap, room: Room) -> Line:
    """The views with their keys, the one in sight in brackets; the level shown at the right."""
    shown = line(strong(chosen))
    return views_bar(QUALITY, VIEW_TITLES, view, keymap, room, turns="level", shown=shown)


def footer_line(keymap: Keymap, room: Room, *, running: bool, moves: str) -> Line:
    """The keys that work now, as many as fit whole. `moves`: what the arrows go through in the
    panel with the focus."""
    up_down, all_four = ("↑↓", "↑↓←→") if room.glyphs.unicode else ("up/down", "arrows")
    words = {"measure": "cancel"} if running else {}
    actions = [(keymap.first_key(name), words.get(word, word)) for name, word in FOOTER_ACTIONS]
    clicks = clicks_of(FOOTER_ACTIONS)
    clicks["cancel"] = clicks["measure"]
    arrows = (all_four if moves == MATRICES else up_down, moves)
    return fitting_keys([actions[0], arrows, ("tab", "panel"), *actions[1:]], room.width, clicks)
